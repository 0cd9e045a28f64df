"""The encrypted SQLite file: how it is opened, migrated, checked and watched.

Rules of this file: apsw is seen only here and by what is handed a connection made
here; every apsw error leaves as a `StoreError` that names what a person can do.

Each page is sealed with AEGIS-256 under the store key, so a changed byte is an
error, never a wrong answer. Two small clear files stand beside the database:
`store.check` tells a wrong key from a damaged file, and `store.mark` holds the
number of the last commit that was acknowledged. SQLite ends a write-ahead log
silently at the first frame that does not verify; the mark makes that loss visible.
"""

import hmac
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw

from crdt.errors import (
    DamagedError,
    DiskFullError,
    KeyUnavailableError,
    NewerStoreError,
    StoreError,
    WrongKeyError,
)

DATABASE_NAME: Final = "store.db"
CHECK_NAME: Final = "store.check"
MARK_NAME: Final = "store.mark"
CIPHER: Final = "AEGIS-256"
_CHECK_LABEL: Final = b"fractality store key check 1"
_WRITER_CACHE_KIB: Final = 48 * 1024
_READER_CACHE_KIB: Final = 12 * 1024
_BUSY_MS: Final = 10_000
_LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
_RESTORE: Final = (
    "Nothing was changed. Restore a backup with 'fractality restore FILE' into a new"
    " home, or keep this folder and ask for help."
)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what SQLite raises into errors with a reader."""
    try:
        yield
    except apsw.FullError as error:
        message = (
            "There is no room left on the disk; the write was not made and everything"
            " stored before is safe. Free some space and try again."
        )
        raise DiskFullError(message) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        message = (
            f"The store's file is damaged: a part of it does not verify. {_RESTORE}"
        )
        raise DamagedError(message) from error
    except (apsw.IOError, apsw.CantOpenError) as error:
        message = "The store's file cannot be read or written; is its disk still there?"
        raise StoreError(message) from error


class Database:
    """A home's store, opened by the one process that owns it."""

    def __init__(self, home: Path, key: bytes) -> None:
        """Take the home's folder and the 32-byte store key; open nothing yet."""
        self._home = home
        self._key = key
        self._mark: int | None = None

    def __enter__(self) -> Self:
        """Open and migrate the store; raise a `StoreError` if it cannot serve."""
        path = self._home / DATABASE_NAME
        is_new = not path.exists()
        if is_new:
            (self._home / CHECK_NAME).write_text(_key_check(self._key))
        else:
            _verify_key(self._home / CHECK_NAME, self._key)
            _verify_length(path)
        with store_errors():
            self.writer = self._connect(_WRITER_CACHE_KIB)
            if is_new:
                self.writer.pragma("page_size", 4096)
                self.writer.pragma("auto_vacuum", 2)
            self.writer.pragma("journal_mode", "wal")
            self.writer.pragma("synchronous", "full")
            self.writer.pragma("journal_size_limit", _LOG_LIMIT_BYTES)
            self.writer.wal_autocheckpoint(4000)
            migrate(self.writer)
        os.chmod(path, 0o600)
        self._open_mark()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the writer; the last connection folds the log into the file."""
        self.writer.close()
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def reader(self) -> apsw.Connection:
        """Return a new connection that sees committed states and cannot write."""
        with store_errors():
            connection = self._connect(_READER_CACHE_KIB)
            connection.pragma("query_only", 1)
        return connection

    def acknowledge(self, commit: int) -> None:
        """Note that commit number `commit` is durable and may be relied upon."""
        if self._mark is None:
            message = "The store is closed."
            raise StoreError(message)
        os.pwrite(self._mark, struct.pack(">Q", commit), 0)

    def copy_to(self, target: Path, key: bytes) -> None:
        """Write a consistent copy of the store under another key."""
        with store_errors():
            copy = connect(target, key)
            try:
                with copy.backup("main", self.writer, "main") as backup:
                    backup.step()
            finally:
                copy.close()

    def _connect(self, cache_kib: int) -> apsw.Connection:
        return connect(self._home / DATABASE_NAME, self._key, cache_kib)

    def _open_mark(self) -> None:
        descriptor = os.open(self._home / MARK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        content = os.pread(descriptor, 8, 0)
        marked = struct.unpack(">Q", content)[0] if len(content) == 8 else 0
        stored = commit_number(self.writer)
        if stored < marked:
            os.close(descriptor)
            self.writer.close()
            message = (
                f"The last {marked - stored} acknowledged writes are missing from the"
                " store: its file or its log was changed, cut short or replaced by an"
                f" older copy. {_RESTORE}"
            )
            raise DamagedError(message)
        self._mark = descriptor


def connect(
    path: Path, key: bytes, cache_kib: int = _READER_CACHE_KIB
) -> apsw.Connection:
    """Open an encrypted SQLite file with a 32-byte raw key."""
    connection = apsw.Connection(str(path))
    connection.pragma("cipher", "aegis")
    connection.pragma("key", f"raw:{key.hex()}")
    connection.pragma("cache_size", -cache_kib)
    connection.pragma("temp_store", "memory")
    # Pages are encrypted: overwriting freed ones protects nothing more.
    connection.pragma("secure_delete", 0)
    connection.set_busy_timeout(_BUSY_MS)
    return connection


def migrate(connection: apsw.Connection) -> None:
    """Bring the schema to the newest version, one transaction per step.

    Raises `NewerStoreError` if the store is ahead of this program.
    """
    scripts = sorted(
        (entry.name, entry.read_text())
        for entry in (resources.files("crdt") / "migrations").iterdir()
        if entry.name.endswith(".sql")
    )
    version = connection.pragma("user_version")
    if version > len(scripts):
        message = (
            f"The store has version {version}, this program knows {len(scripts)}."
            " Nothing was changed: install the newer program again."
        )
        raise NewerStoreError(message)
    for number, (_, script) in enumerate(scripts[version:], version + 1):
        with connection:
            connection.execute(script)
            connection.pragma("user_version", number)


def commit_number(connection: apsw.Connection) -> int:
    """Return how many commits the store has made, as the store itself counts."""
    row = connection.execute(
        "SELECT value FROM setting WHERE name = 'commits'"
    ).fetchone()
    return 0 if row is None else int(row[0])


def integrity_faults(connection: apsw.Connection) -> list[str]:
    """Read every page and return what SQLite finds wrong with them."""
    with store_errors():
        rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _key_check(key: bytes) -> str:
    return hmac.digest(key, _CHECK_LABEL, "sha256").hex()


def _verify_key(path: Path, key: bytes) -> None:
    try:
        expected = path.read_text()
    except OSError as error:
        message = f"The file {path.name} is missing from the home. {_RESTORE}"
        raise KeyUnavailableError(message) from error
    if not hmac.compare_digest(expected.encode(), _key_check(key).encode()):
        message = (
            "The key does not open this store: it is another store's key or passphrase."
            " Nothing was changed."
        )
        raise WrongKeyError(message)


def _verify_length(path: Path) -> None:
    """Refuse a file that was cut inside a page; SQLite itself finds missing pages."""
    if path.stat().st_size % 4096:
        message = f"The store's file was cut short. {_RESTORE}"
        raise DamagedError(message)
