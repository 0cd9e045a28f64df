"""The README's first example is what really happens."""

import shlex
import subprocess
from pathlib import Path
from typing import Final

from tests.support.daemons import PROGRAM, Daemon, environment

README: Final = Path(__file__).parents[2] / "README.md"


def steps() -> list[tuple[str, str]]:
    """Return (arguments, output) of each command of the example."""
    example = README.read_text().split("```console\n")[1].split("```")[0]
    _, *shown = example.split("$ fractality ")
    parted = (each.partition("\n") for each in shown)
    return [(arguments, output) for arguments, _, output in parted]


def test_the_example_is_real(daemon: Daemon) -> None:
    """Typed into a new home, each command prints exactly what the README shows."""
    for arguments, output in steps():
        done = subprocess.run(
            [PROGRAM, "--home", daemon.home, *shlex.split(arguments)],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
            timeout=60,
        )

        assert done.stdout == output
