"""Homes as a person makes them, and their replicas."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from crdt.commands import PutBody, PutEdge, PutNode
from crdt.database import Database
from crdt.replica import Replica
from daemon.setup import InitResult, Secrets, initialise, load_secrets, open_key

NOW_MS: Final = 1_800_000_000_000


def new_home(home: Path) -> InitResult:
    """Make a home whose key is a file, whatever the machine offers."""
    return initialise(home, "laptop", "key-file", None, environment={})


@contextmanager
def open_home(home: Path) -> Iterator[tuple[Replica, Secrets]]:
    """Open the replica of a home whose key is a file."""
    key = open_key(home, None, environment={})
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)
        replica = Replica(
            database,
            held.identity,
            held.keys,
            randomness=os.urandom,
            monotonic_ms=lambda: 0,
        )
        yield replica, held
        replica.close()


def fill(home: Path) -> str:
    """Write a small graph into a home; return its digest."""
    with open_home(home) as (replica, _):
        replica.apply(
            (
                PutNode("a", "Apples"),
                PutNode("b", "Berries"),
                PutEdge("a", "b"),
                PutBody("a", "b" * 50_000),
            ),
            NOW_MS,
        )
        return replica.digest


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
