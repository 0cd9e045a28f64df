"""The folder that holds everything of one device, and who may use it.

store.db, -wal, -shm   the encrypted store        crdt.database
streams-N.archive      old histories, sealed      crdt.stream_archive
store.check, store.mark, store-key.json, store.key
                       what opens and guards it   crdt.database, crdt.key_sources
config.toml            settings a person may write
token                  lets programs of this user in, mode 0600
run.json               where the running daemon listens
lock                   held while a process uses the home
unfinished             a store that is being made
joined                 one that is complete and takes the place of the store
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from crdt.database import DATABASE_NAME
from crdt.errors import StoreInUseError
from crdt.private_files import read_small, write_private

CONFIG_NAME: Final = "config.toml"
TOKEN_NAME: Final = "token"  # noqa: S105  # the name of its file
RUN_NAME: Final = "run.json"
LOCK_NAME: Final = "lock"
UNFINISHED_NAME: Final = "unfinished"
JOINED_NAME: Final = "joined"
_TOKEN_BYTES: Final = 32


class RunRecord(msgspec.Struct, frozen=True):
    """Where a running daemon listens, for those who want to reach it."""

    pid: int
    port: int
    peer_port: int
    url: str


def has_store(home: Path) -> bool:
    """Whether a device was made here, or has joined and waits for its place."""
    places = (home, home / JOINED_NAME)
    return any((place / DATABASE_NAME).exists() for place in places)


def make_private(home: Path) -> None:
    """Create a home that only its owner can enter; leave one that is there as it is."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home for this process, or raise `StoreInUseError` at once."""
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = (
                f"Another process uses the home {home}: a daemon is running there."
                " Nothing was changed; 'fractality status' shows it."
            )
            raise StoreInUseError(message) from None
        yield
    finally:
        # The system lets go of the lock with the descriptor, also after a crash.
        os.close(descriptor)


def api_token(home: Path) -> str:
    """Return the token that lets programs in, a new one if there is none.

    Raises `KeyUnavailableError` if others can read it.
    """
    path = home / TOKEN_NAME
    # An empty file is no token: it would let in whoever sends none.
    token = read_small(path, is_secret=True).strip() if path.exists() else b""
    if not token:
        token = secrets.token_urlsafe(_TOKEN_BYTES).encode()
        write_private(path, token)
    return token.decode("ascii", "replace")


@contextmanager
def announced(home: Path, record: RunRecord) -> Iterator[None]:
    """Keep `run.json` in the home while the daemon listens."""
    path = home / RUN_NAME
    write_private(path, msgspec.json.encode(record))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
