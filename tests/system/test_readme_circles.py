"""The README's walk through a circle is what really happens."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.circle_of_daemons import PROGRAM, VARIABLES
from tests.support.daemons import PROGRAM as FRACTALITY
from tests.support.daemons import Daemon, environment, make_home, wait_until
from tests.support.device_groups import QUIET

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
PEOPLE: Final = ("ada", "ben", "cleo")
SAYS_AT_ONCE: Final = ("found", "invite", "join", "add", "publish", "vote", "withdraw")
"""Commands whose answer has to be right the first time."""
CHANCE: Final = (
    (r"\b[0-9a-f]{8,64}\b", "HEX"),
    (r"\b20\d\d-\d\d-\d\d( \d\d:\d\d)?", "DATE"),
    (r"\b[01]\.\d\d\b", "SCORE"),
    (r"\d+ bytes", "SIZE"),
    (r"(\[y/N\]:) y\n", r"\1 "),
    (r"  +", "  "),
)
"""What no two runs have in common, and how it is written to be compared."""


def steps() -> list[tuple[str, str]]:
    """Return (command, output) of each command of the section."""
    section = README.split("\n## Circles\n")[1].split("\n## ")[0]
    shown = "".join(each.split("```")[0] for each in section.split("```console\n")[1:])
    _, *typed = re.split(r"^\$ ", shown, flags=re.MULTILINE)
    parted = (each.partition("\n") for each in typed)
    return [(command, output) for command, _, output in parted]


def comparable(output: str) -> str:
    """Return an output without what is another one at each run."""
    for pattern, name in CHANCE:
        output = re.sub(pattern, name, output, flags=re.MULTILINE)
    return output.strip()


@pytest.fixture
def people(tmp_path: Path) -> Iterator[list[Daemon]]:
    """Serve a home for each person, in one folder."""
    daemons = []
    try:
        for name in PEOPLE:
            make_home(tmp_path / name)
            variables = environment(**VARIABLES)
            daemon = Daemon(tmp_path / name, variables=variables, program=PROGRAM)
            daemons.append(daemon.start(*QUIET))
        yield daemons
    finally:
        for daemon in daemons:
            if daemon.process is not None:
                daemon.kill()


@pytest.fixture
def shell(people: list[Daemon], tmp_path: Path) -> "Shell":
    """Give a shell in that folder, which knows `fractality`."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    command = bin_ / "fractality"
    command.symlink_to(FRACTALITY)
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    return Shell(tmp_path, environment(**VARIABLES) | {"PATH": path, "NO_COLOR": "1"})


class Shell:
    """Runs what a person types, who says yes to every question."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self._variables = variables
        self.keys: dict[str, str] = {}
        """Keys of the README, and what they are in this run."""

    def run(self, command: str) -> str:
        """Return what a command shows on a terminal."""
        for shown, real in self.keys.items():
            command = command.replace(shown, real)
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self._folder,
            input="y\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=self._variables,
            timeout=60,
        ).stdout

    def follow(self, command: str, shown: str) -> None:
        """Run a command until it shows what the README does, or fail."""
        if set(SAYS_AT_ONCE) & set(command.split()):
            assert comparable(self.run(command)) == comparable(shown), command
            return
        said = ""

        def is_shown() -> bool:
            nonlocal said
            said = self.run(command)
            return comparable(said) == comparable(shown)

        try:
            wait_until(is_shown)
        except AssertionError:
            pytest.fail(f"{command}\n{said}\ninstead of\n{shown}")
        for pattern in (r"^([0-9a-f]{12})\b", r"^  key +([0-9a-f]{64})$"):
            found = re.findall(pattern, said, re.MULTILINE)
            known = re.findall(pattern, shown, re.MULTILINE)
            self.keys |= dict(zip(known, found, strict=True))


def test_the_walk_through_a_circle_is_real(shell: Shell) -> None:
    """Three people found, join, publish, vote, keep and withdraw as shown."""
    walked = steps()
    assert len(walked) > 10

    for command, shown in walked:
        shell.follow(command, shown)
