"""What system tests share: one daemon per module, for those that leave it running."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import Api, Daemon, serving
from tests.support.replicas import scratch_folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Give a module a folder where flushing to disk costs nothing."""
    with scratch_folder() as path:
        yield path


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    """Run one daemon for a whole module."""
    with serving(folder / "home") as running:
        yield running


@pytest.fixture
def api(daemon: Daemon) -> Api:
    """Speak to the module's daemon."""
    return daemon.api
