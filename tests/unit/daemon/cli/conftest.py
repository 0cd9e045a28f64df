"""A fake daemon and the command line of its home."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A fake daemon on a home of its own."""
    with fake_daemon(tmp_path / "home") as serving:
        yield serving


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """The command line on the home of `daemon`, be it served or not."""
    return CommandLine(tmp_path / "home")
