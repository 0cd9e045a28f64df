"""What every command is given: which home, how to answer, who does the work."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from daemon.cli.local import Local
from daemon.client import Client, connect


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command line."""

    home: Path
    as_json: bool
    """Print what the API answers instead of text for a person."""
    local: Local

    def client(self) -> Client:
        """Return a client of the home's daemon, or raise `DaemonAbsentError`."""
        return connect(self.home)


pass_session = click.make_pass_decorator(Session)


def default_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the home of who names none (XDG base directories, 0.8)."""
    given = Path(environment.get("XDG_STATE_HOME", ""))
    state = given if given.is_absolute() else Path.home() / ".local" / "state"
    return state / "fractality"
