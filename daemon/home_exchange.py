"""A device that joined takes its place in a home, also where another one was.

The new device is complete on the disk, in a folder of its own, before the inviter is
told so. Renaming that folder is the moment from which it is this home's device: what
follows is finished by the next start if a crash cuts it short.

unfinished   being made; thrown away
joined       complete; its files take the places of those in the home
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crdt.database import DATABASE_NAME, Database, store_errors
from crdt.statements import write_statements
from daemon.home import JOINED_NAME, UNFINISHED_NAME
from daemon.setup import Secrets, flush, store_secrets
from transport.gift import Joined


@contextmanager
def making_room(home: Path) -> Iterator[Path]:
    """Give an empty folder for a new device; what is in it at the end is removed."""
    folder = home / UNFINISHED_NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_device(folder: Path, key: bytes, joined: Joined, now_ms: int) -> None:
    """Make the store of a device that joined, durably."""
    with Database(folder, key) as database:
        connection = database.writer
        with store_errors(), connection:
            write_statements(connection, joined.statements)
            connection.executemany(
                "INSERT INTO address (peer, address, last_ms) VALUES (?, ?, ?)",
                [(joined.inviter, each, now_ms) for each in set(joined.addresses)],
            )
        store_secrets(connection, Secrets(joined.identity, joined.keys))
    for path in folder.iterdir():
        flush(path)
    flush(folder)


def settle(home: Path) -> None:
    """Make the device that was written into the folder this home's device."""
    (home / UNFINISHED_NAME).replace(home / JOINED_NAME)
    flush(home)


def take_over(home: Path) -> None:
    """Bring a device that joined into its place, if there is one.

    The home must be locked and its store closed.
    """
    folder = home / JOINED_NAME
    if (folder / DATABASE_NAME).exists():
        # The log of the store that was there would be taken for that of the new one.
        for ending in ("-wal", "-shm"):
            (home / f"{DATABASE_NAME}{ending}").unlink(missing_ok=True)
        # The store itself comes last: until then the next start does all of this again.
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".db"):
            path.replace(home / path.name)
        flush(home)
    if folder.exists():
        folder.rmdir()
        flush(home)


def is_settled(home: Path) -> bool:
    """Whether a device that joined waits for `take_over`."""
    return (home / JOINED_NAME).is_dir()
