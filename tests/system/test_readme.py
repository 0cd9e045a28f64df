"""The README's examples are what really happens."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.daemons import PROGRAM, Daemon, environment, wait_until
from tests.support.device_groups import peer_port, start

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
CHANCE: Final = (
    (r"/\S+/phone", "FOLDER/phone"),
    (r"\d+-[a-z]+-[a-z]+", "CODE"),
    (r"\b[a-z2-7]{26}\b", "ID"),
    (r"^((?:laptop|phone) .*?) [a-z2-7]{8}  ", r"\1 ID  "),
    (r"(\S+):\d+$", "ADDRESS"),
    (r"\d address(es)? tried, (again in \d+ s|trying again now)", "TRIED"),
)
"""What no two runs have in common, and how it is written to be compared."""

Step = tuple[str, str]


def steps(example: str) -> list[Step]:
    """Return (arguments, output) of each command of an example."""
    _, *shown = example.split("$ fractality ")
    parted = (each.partition("\n") for each in shown)
    return [(arguments, output) for arguments, _, output in parted]


def examples(title: str) -> list[list[Step]]:
    """Return the examples of a section, each as its steps."""
    section = f"\n{README}".split(f"\n{title}\n")[1].split("\n## ")[0]
    return [steps(each.split("```")[0]) for each in section.split("```console\n")[1:]]


def run(*arguments: str | Path, folder: Path) -> str:
    """Return what a command prints."""
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        timeout=60,
    ).stdout


def comparable(output: str) -> str:
    """Return an output without what is another one at each run."""
    for pattern, name in CHANCE:
        output = re.sub(pattern, name, output, flags=re.MULTILINE)
    return output


def test_the_example_is_real(daemon: Daemon) -> None:
    """Typed into a new home, each command prints exactly what the README shows."""
    for arguments, shown in examples("# Fractality")[0]:
        words = shlex.split(arguments)

        assert run("--home", daemon.home, *words, folder=daemon.home) == shown


@contextmanager
def inviting(step: Step, folder: Path) -> Iterator[str]:
    """Run `pair` as the README shows it; yield its code, and see it end well."""
    arguments, shown = step
    with subprocess.Popen(
        [PROGRAM, *shlex.split(arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in shown.splitlines())
        assert comparable(said) == comparable(shown)
        found = re.search(CHANCE[1][0], said)
        assert found is not None
        yield found[0]
        assert process.stdout.read().endswith(" has joined.\n")
        assert process.wait() == 0


def assert_comes_true(example: list[Step], folder: Path) -> None:
    """Each command prints, a moment later at most, what the README shows."""
    for arguments, shown in example:
        words = shlex.split(arguments)
        prints = partial(has_output, words, comparable(shown), folder)
        if {"add", "revoke"} & set(words):
            assert prints()
        else:
            wait_until(prints)


def has_output(words: list[str], wanted: str, folder: Path) -> bool:
    """Whether a command prints what is wanted."""
    return comparable(run(*words, folder=folder)) == wanted


@pytest.fixture
def laptop_and_phone(tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Serve a new home `laptop`, and end what was started of it and of `phone`."""
    run("--home", "laptop", "init", "--name", "laptop", "--yes", folder=tmp_path)
    daemons = Daemon(tmp_path / "laptop"), Daemon(tmp_path / "phone")
    start(daemons[0])
    try:
        yield daemons
    finally:
        for daemon in daemons:
            if daemon.process is not None:
                daemon.kill()


def test_the_walk_through_is_real(
    laptop_and_phone: tuple[Daemon, Daemon], tmp_path: Path
) -> None:
    """Two devices are paired, part, come into step and are parted for good as shown."""
    laptop, phone = laptop_and_phone
    (add, invite), join, linked, apart, again, removed = examples("## Two devices")
    assert_comes_true([add], tmp_path)
    with inviting(invite, tmp_path) as code:
        arguments, shown = join[0]
        words = shlex.split(re.sub(CHANCE[1][0], code, arguments))
        at = ("--at", f"127.0.0.1:{peer_port(laptop)}", "--key-file")
        assert comparable(run(*words, *at, folder=tmp_path)) == comparable(shown)
    start(phone)
    assert_comes_true(linked, tmp_path)
    assert phone.stop() == 0
    assert_comes_true(apart, tmp_path)
    start(phone)
    assert_comes_true(again, tmp_path)
    assert_comes_true(removed, tmp_path)
