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
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import apsw

from crdt.errors import (
    DamagedError,
    DiskFullError,
    KeyUnavailableError,
    NewerStoreError,
    StoreError,
    WrongKeyError,
)
from crdt.private_files import write_private

Connection: TypeAlias = apsw.Connection
"""An open SQLite file."""

DATABASE_NAME: Final = "store.db"
CHECK_NAME: Final = "store.check"
MARK_NAME: Final = "store.mark"
CIPHER: Final = "AEGIS-256"
_MARK: Final = struct.Struct(">Q")
_CHECK_LABEL: Final = b"fractality store key check 1"
_WRITER_CACHE_KIB: Final = 32 * 1024
_READER_CACHE_KIB: Final = 8 * 1024
_BUSY_MS: Final = 10_000
_LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024
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
        self.home = home
        """Its folder."""
        self._key = key
        self._mark: int | None = None

    def __enter__(self) -> Self:
        """Open and migrate the store; raise a `StoreError` if it cannot serve."""
        path = self.home / DATABASE_NAME
        is_new = not path.exists()
        if is_new:
            verify_no_store(self.home)
            write_key_check(self.home, self._key)
        else:
            verify_store(self.home, self._key)
        with store_errors():
            self.writer = self._connect(_WRITER_CACHE_KIB)
            try:
                # A log whose end does not verify is all that is left of what it held:
                # to fold the readable part into the file would throw the rest away.
                self.writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                if not is_new:
                    verify_commits(self.writer, marked_commit(self.home))
                self._prepare(is_new=is_new)
                os.chmod(path, 0o600)
                self.writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            except BaseException:
                self.writer.close()
                raise
        self._mark = os.open(self.home / MARK_NAME, os.O_WRONLY | os.O_CREAT, 0o600)
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

    def reader(self) -> Connection:
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
        # The commit is durable whatever becomes of the mark: one that stays behind
        # only sees less.
        with suppress(OSError):
            os.pwrite(self._mark, _MARK.pack(commit), 0)

    def _connect(self, cache_kib: int) -> Connection:
        return connect(self.home / DATABASE_NAME, self._key, cache_kib)

    def _prepare(self, *, is_new: bool) -> None:
        if is_new:
            self.writer.pragma("page_size", 4096)
            self.writer.pragma("auto_vacuum", 2)
        self.writer.pragma("journal_mode", "wal")
        self.writer.pragma("synchronous", "full")
        self.writer.pragma("journal_size_limit", _LOG_LIMIT_BYTES)
        self.writer.wal_autocheckpoint(4000)
        migrate(self.writer)


def connect(
    path: Path,
    key: bytes,
    cache_kib: int = _READER_CACHE_KIB,
    *,
    is_read_only: bool = False,
) -> Connection:
    """Open an encrypted SQLite file with a 32-byte raw key."""
    access = (
        apsw.SQLITE_OPEN_READONLY
        if is_read_only
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    # As an address, so that `write_copy` may name a target by one.
    connection = Connection(path.absolute().as_uri(), access | apsw.SQLITE_OPEN_URI)
    connection.pragma("cipher", "aegis")
    connection.pragma("key", f"raw:{key.hex()}")
    connection.pragma("cache_size", -cache_kib)
    connection.pragma("temp_store", "memory")
    # Pages are encrypted: overwriting freed ones protects nothing more.
    connection.pragma("secure_delete", 0)
    connection.set_busy_timeout(_BUSY_MS)
    return connection


def write_copy(connection: Connection, target: Path, key: bytes) -> None:
    """Write a copy of an open store, sealed under another key, into a new file.

    It is written row by row, so nothing that was ever deleted comes along.
    """
    # SQLite takes the key of a copy in its address alone. The only error that would
    # repeat the address must go no further.
    address = f"{target.absolute().as_uri()}?cipher=aegis&key=raw:{key.hex()}"
    with store_errors():
        try:
            connection.execute("VACUUM INTO ?", (address,))
        except apsw.CantOpenError:
            message = f"The file {target} cannot be written; is its disk still there?"
            raise StoreError(message) from None


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest version, one transaction per step.

    Raises `NewerStoreError` if the store is ahead of this program.
    """
    scripts = _migrations()
    version = connection.pragma("user_version")
    if version > len(scripts):
        message = (
            f"The store has version {version}, this program knows {len(scripts)}."
            " Nothing was changed: install the newer program again."
        )
        raise NewerStoreError(message)
    for number, script in enumerate(scripts[version:], version + 1):
        with connection:
            connection.execute(script)
            connection.pragma("user_version", number)


def commit_number(connection: Connection) -> int:
    """Return how many commits the store has made, as the store itself counts."""
    with store_errors():
        if connection.pragma("user_version") == 0:
            return 0  # without its log it may not even have tables
        row = connection.execute(
            "SELECT value FROM setting WHERE name = 'commits'"
        ).fetchone()
    return 0 if row is None else int(row[0])


def integrity_faults(connection: Connection) -> list[str]:
    """Read every page and return what SQLite finds wrong with them."""
    with store_errors():
        rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
    return [str(row[0]) for row in rows if row[0] != "ok"]


def newest_schema() -> int:
    """Return the version of the schema to which this program brings stores."""
    return len(_migrations())


def write_key_check(home: Path, key: bytes) -> None:
    """Write what will tell a wrong key from a damaged file."""
    write_private(home / CHECK_NAME, _key_check(key).encode())


def verify_store(home: Path, key: bytes) -> None:
    """Raise a `StoreError` if the key is wrong or the file was cut inside a page."""
    _verify_key(home / CHECK_NAME, key)
    _verify_length(home / DATABASE_NAME)


def verify_no_store(home: Path) -> None:
    """Raise `DamagedError` if a home without a database once had one."""
    if marked_commit(home) or (home / f"{DATABASE_NAME}-wal").exists():
        message = f"The file {DATABASE_NAME} is missing from the home. {_RESTORE}"
        raise DamagedError(message)


def marked_commit(home: Path) -> int:
    """Return the number of the last commit that was acknowledged, 0 if none was."""
    try:
        content = (home / MARK_NAME).read_bytes()
    except FileNotFoundError:
        return 0
    return int(_MARK.unpack(content)[0]) if len(content) == _MARK.size else 0


def verify_commits(connection: Connection, marked: int) -> None:
    """Raise `DamagedError` if the store lacks commits up to number `marked`."""
    missing = marked - commit_number(connection)
    if missing > 0:
        message = (
            f"The last {missing} acknowledged writes are missing from the store: its"
            " file or its log was changed, cut short or replaced by an older copy."
            f" {_RESTORE}"
        )
        raise DamagedError(message)


def _migrations() -> list[str]:
    """Return the scripts that make the schema, oldest first."""
    folder = resources.files("crdt") / "migrations"
    scripts = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [entry.read_text() for entry in sorted(scripts, key=lambda each: each.name)]


def _key_check(key: bytes) -> str:
    return hmac.digest(key, _CHECK_LABEL, "sha256").hex()


def _verify_key(path: Path, key: bytes) -> None:
    try:
        expected = path.read_bytes()
    except OSError as error:
        message = f"The file {path.name} is missing from the home. {_RESTORE}"
        raise KeyUnavailableError(message) from error
    if not hmac.compare_digest(expected, _key_check(key).encode()):
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
