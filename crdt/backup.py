"""Backups: a whole store in one file, which its person's 24 words alone open.

Specification: docs/backup.md. Rules of this file:

1. The device's private keys never come along: who restores a backup is a new device.
2. A backup that was not read back whole is no backup: its file is removed.
"""

import errno
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec

from crdt import stream_archive
from crdt.database import (
    Connection,
    Database,
    connect,
    integrity_faults,
    store_errors,
    write_copy,
)
from crdt.errors import (
    ConflictError,
    DamagedError,
    DiskFullError,
    StoreError,
    WrongKeyError,
)
from crdt.identity import ClientId, Enrolment, Identity
from crdt.keys import KEY_BYTES

MAGIC: Final = b"fractality backup 1\n"
TRAILER_BYTES: Final = len(MAGIC) + 2 * hashlib.sha256().digest_size
_CHUNK_BYTES: Final = 1024 * 1024
_SEAL_LABEL: Final = b"fractality/1 backup seal\0"
_DAMAGED: Final = (
    "This file is no whole backup: it was cut short or changed after it was written,"
    " or it is something else. Nothing was changed; try another copy."
)


class BackupRecord(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2
):
    """Whose backup it is, in the place where a store keeps its device's identity."""

    person_name: str
    device_name: str
    client_id: ClientId
    """Under which the device wrote; nobody else may."""
    device_public_key: Annotated[
        bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
    ]
    """By it the device's envelopes can still be verified."""
    enrolment: Enrolment | None
    """The person's word for the device; None if it was paired."""
    time_ms: int
    """When the backup was written."""


class _FirstRecord(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1
):
    """Record of version 1, from before devices were paired."""

    person_name: str
    device_name: str
    client_id: ClientId
    enrolment: Enrolment
    time_ms: int


def write_backup(
    database: Database, identity: Identity, target: Path, now_ms: int
) -> None:
    """Write a verified backup of a store whose replica has nothing unsealed or fresh.

    Raises a `StoreError` with no file left, `ConflictError` if there is one already.
    """
    key = identity.backup_key()
    record = BackupRecord(
        person_name=identity.person_name,
        device_name=identity.device_name,
        client_id=identity.client_id,
        device_public_key=identity.public_key,
        enrolment=identity.enrolment,
        time_ms=now_ms,
    )
    with _new_file(target), _file_errors():
        write_copy(database.writer, target, key)
        _complete(database, target, key, record)
        _verify(database.writer, target, key)
        _seal(target, key)


@contextmanager
def open_backup(file: Path, key: bytes) -> Iterator[Connection]:
    """Open a backup for reading after every byte of it has been verified.

    Raises `DamagedError`, or `WrongKeyError` if `key` is another person's.
    """
    with _file_errors(), file.open("rb") as content:
        _verify_seal(content, key)
    with store_errors():
        connection = connect(file, key, is_read_only=True)
    with closing(connection):
        yield connection


def read_record(connection: Connection) -> BackupRecord:
    """Return whose backup an open one is, or raise `DamagedError`."""
    with store_errors():
        row = connection.execute(
            "SELECT value FROM setting WHERE name = 'backup'"
        ).fetchone()
    try:
        record = msgspec.msgpack.decode(
            b"" if row is None else row[0], type=BackupRecord | _FirstRecord
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedError(_DAMAGED) from None
    return record if isinstance(record, BackupRecord) else _brought_up(record)


def _brought_up(first: _FirstRecord) -> BackupRecord:
    return BackupRecord(
        person_name=first.person_name,
        device_name=first.device_name,
        client_id=first.client_id,
        device_public_key=first.enrolment.device_public_key,
        enrolment=first.enrolment,
        time_ms=first.time_ms,
    )


@contextmanager
def _new_file(target: Path) -> Iterator[None]:
    """Make an empty file for its owner alone; remove it if the block fails."""
    with _file_errors():
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            message = f"The file {target} exists already and was left as it is."
            raise ConflictError(message) from None
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _file_errors() -> Iterator[None]:
    """Turn what the operating system raises into errors with a reader."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = (
                "There is no room on the disk for the backup; none was written."
                " Free some space and try again."
            )
            raise DiskFullError(message) from error
        message = f"{error.filename or 'The backup'}: {error.strerror}."
        raise StoreError(message) from error


def _complete(
    database: Database, target: Path, key: bytes, record: BackupRecord
) -> None:
    """Take the identity out of the copy and the files of the archive in."""
    with store_errors(), closing(connect(target, key)) as copy:
        copy.pragma("journal_mode", "memory")
        # What is deleted here must be gone, not merely unlinked.
        copy.pragma("secure_delete", 1)
        with copy:
            copy.execute("DELETE FROM setting WHERE name = 'identity'")
            copy.execute(
                "INSERT INTO setting (name, value) VALUES ('backup', ?)",
                (msgspec.msgpack.encode(record),),
            )
            stream_archive.pack(copy, database.home)


def _verify(original: Connection, target: Path, key: bytes) -> None:
    """Raise `DamagedError` unless the copy is sound and counts what the store does."""
    with store_errors(), closing(connect(target, key, is_read_only=True)) as copy:
        faults = integrity_faults(copy)
        read_record(copy)
        if faults or _counts(copy) != _counts(original):
            message = (
                "The backup was read back and is not what the store holds, so it was"
                " removed. The store was not changed; 'fractality doctor' examines it."
            )
            raise DamagedError(message)


def _counts(connection: Connection) -> list[tuple[object, ...]]:
    """Return the totals, digest included, and how many rows there are of each kind."""
    tables = (
        *("node", "edge", "body", "energy", "envelope", "shard_tail"),
        *("stream", "stream_hour", "stream_day", "archive_part", "archived_node"),
        *("circle", "circle_item", "circle_statement", "circle_ledger"),
    )
    rows = "".join(f" UNION ALL SELECT '{t}', count(*) FROM {t}" for t in tables)
    return connection.execute(
        "SELECT name, value FROM setting WHERE name IN ('totals', 'commits')" + rows
    ).fetchall()


def _seal(target: Path, key: bytes) -> None:
    """Add the trailer, after which the file is a backup."""
    with target.open("r+b") as file:
        summed = _summed(file, target.stat().st_size)
        trailer = MAGIC + _keyed(key, summed.digest())
        summed.update(trailer)
        file.write(trailer + summed.digest())
        file.flush()
        os.fsync(file.fileno())


def _verify_seal(file: IO[bytes], key: bytes) -> None:
    """Raise `DamagedError` for any byte changed, `WrongKeyError` only if none was."""
    size = file.seek(0, os.SEEK_END) - TRAILER_BYTES
    file.seek(0)
    summed = _summed(file, max(size, 0))
    expected = MAGIC + _keyed(key, summed.digest())
    trailer = file.read()
    summed.update(trailer[: len(expected)])
    if not trailer.startswith(MAGIC) or trailer[len(expected) :] != summed.digest():
        raise DamagedError(_DAMAGED)
    if not hmac.compare_digest(trailer[: len(expected)], expected):
        message = (
            "These are not the 24 words of the person whose backup this is. Nothing"
            " was changed."
        )
        raise WrongKeyError(message)


def _summed(file: IO[bytes], count: int) -> "hashlib._Hash":
    """Return the SHA-256, to be continued, of the next `count` bytes."""
    summed = hashlib.sha256()
    while chunk := file.read(min(count, _CHUNK_BYTES)):
        summed.update(chunk)
        count -= len(chunk)
    return summed


def _keyed(key: bytes, pages_hash: bytes) -> bytes:
    return hmac.digest(key, _SEAL_LABEL + pages_hash, "sha256")
