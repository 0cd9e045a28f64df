"""Histories older than three months, in sealed files beside the store.

Rules of this file:
1. A file is whole and on the disk before the transaction that names it and drops the
   rows that it holds. A crash between the two leaves a file that nobody names, and the
   next try writes over it: nothing is lost and nothing counts twice.
2. What the store names is there: if it is not, that is an error, never a shorter
   history.
3. The key is random and stands in the encrypted store, so it comes with a backup.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import apsw

from crdt.archive_part import (
    SALT_BYTES,
    OldPoint,
    OldStream,
    open_part,
    part_hash,
    seal_part,
)
from crdt.errors import DamagedError
from crdt.keys import KEY_BYTES
from crdt.private_files import write_private
from crdt.stream_points import DAY_MS, HOUR_MS, Sums
from crdt.streams import known_since

KEEP_MS: Final = 92 * DAY_MS
"""Three months: what is younger stays in the store."""
MOST_POINTS: Final = 20_000
"""In one file; so a question reads little and a step of upkeep is short."""
_KEY: Final = "archive_key"
_PATTERN: Final = "streams-{:06d}.archive"
_PACKED: Final = "packed_archive"
"""Table of a backup that has the files."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the archive, as the store names it."""

    number: int
    hash: bytes
    first_ms: int
    end_ms: int


def archive_path(home: Path, number: int) -> Path:
    """Return where a file of the archive lies."""
    return home / _PATTERN.format(number)


def is_due(connection: apsw.Connection, now_ms: int) -> bool:
    """Whether a whole month lies three months back and is not archived yet."""
    oldest = known_since(connection)
    return oldest is not None and oldest < _cutoff(now_ms)


def archive_some(
    connection: apsw.Connection,
    home: Path,
    now_ms: int,
    randomness: Callable[[int], bytes],
) -> None:
    """Move the oldest points of a month that is due into a file.

    In the caller's transaction. Raises `StoreError` with no row dropped.
    """
    first_ms = known_since(connection)
    if first_ms is None or first_ms >= _cutoff(now_ms):
        return
    end_ms = _end(connection, first_ms, min(_next_month(first_ms), _cutoff(now_ms)))
    streams = _streams(connection, end_ms)
    number = max((part.number for part in parts(connection)), default=0) + 1
    key = archive_key(connection) or _new_key(connection, randomness)
    content = seal_part(key, randomness(SALT_BYTES), streams)
    write_private(archive_path(home, number), content)
    connection.execute(
        "INSERT INTO archive_part (id, hash, first_ms, end_ms) VALUES (?, ?, ?, ?)",
        (number, part_hash(content), first_ms, end_ms),
    )
    connection.executemany(
        "INSERT INTO archived_node (node, part) VALUES (?, ?)",
        [(each.node, number) for each in streams],
    )
    connection.execute("DELETE FROM stream WHERE time_ms < ?", (end_ms,))
    connection.execute(
        "DELETE FROM stream_hour WHERE start_ms <= ?", (end_ms - HOUR_MS,)
    )


def archive_key(connection: apsw.Connection) -> bytes | None:
    """Return the key of all files, None before there is one."""
    row = connection.execute(
        "SELECT value FROM setting WHERE name = ?", (_KEY,)
    ).fetchone()
    return None if row is None else bytes(row[0])


def parts(connection: apsw.Connection) -> list[Part]:
    """Return all files that the store names."""
    rows = connection.execute(
        "SELECT id, hash, first_ms, end_ms FROM archive_part ORDER BY id"
    )
    return [Part(*row) for row in rows]


def parts_of(
    connection: apsw.Connection, node: int, since_ms: int, until_ms: int
) -> list[Part]:
    """Return the files with something of a node from a time on, the oldest first."""
    rows = connection.execute(
        "SELECT id, hash, first_ms, end_ms FROM archive_part"
        " JOIN archived_node ON archived_node.part = archive_part.id"
        " WHERE node = ? AND end_ms > ? AND first_ms - ? < ? ORDER BY first_ms, id",
        (node, since_ms, HOUR_MS, until_ms),
    )
    return [Part(*row) for row in rows]


def read_part(
    connection: apsw.Connection, home: Path, part: Part
) -> tuple[OldStream, ...]:
    """Return what a file holds, or raise `DamagedError`."""
    return open_part(archive_key(connection) or b"", read_file(home, part), part.hash)


def read_file(home: Path, part: Part) -> bytes:
    """Return a file as it lies there, or raise `DamagedError` if it does not."""
    path = archive_path(home, part.number)
    try:
        return path.read_bytes()
    except OSError as error:
        message = (
            f"{path.name}, a file of the archive of old histories, cannot be read:"
            f" {error.strerror}. Everything else is safe: put it back from a copy of"
            " the home, or restore a backup into a new one."
        )
        raise DamagedError(message) from None


def old_streams(
    connection: apsw.Connection, home: Path, node: int, since_ms: int, until_ms: int
) -> Iterator[tuple[Part, OldStream]]:
    """Yield what each file has of a node, the oldest file first."""
    for part in parts_of(connection, node, since_ms, until_ms):
        for stream in read_part(connection, home, part):
            if stream.node == node:
                yield part, stream


def pack(copy: apsw.Connection, home: Path) -> None:
    """Put all files into a copy of the store, in the caller's transaction.

    One that is lost or damaged here is lost there, too, and said to be so by rule 2: it
    keeps no backup of everything else from being made.
    """
    copy.execute(f"CREATE TABLE {_PACKED} (id INTEGER PRIMARY KEY, content BLOB)")
    for part in parts(copy):
        try:
            content = read_file(home, part)
            open_part(archive_key(copy) or b"", content, part.hash)
        except DamagedError:
            continue
        copy.execute(
            f"INSERT INTO {_PACKED} (id, content) VALUES (?, ?)", (part.number, content)
        )


def unpack(connection: apsw.Connection, folder: Path) -> None:
    """Write the files that a copy brought, in the transaction that drops them there."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE name = ?", (_PACKED,)
    ).fetchone()
    if found is None:
        return  # a backup of before there were archives
    for part in parts(connection):
        rows: list[tuple[bytes]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
            f"SELECT content FROM {_PACKED} WHERE id = ?", (part.number,)
        ).fetchall()
        if rows:
            write_private(archive_path(folder, part.number), rows[0][0])
    connection.execute(f"DROP TABLE {_PACKED}")


def _cutoff(now_ms: int) -> int:
    """Return the start of the month, in UTC, of three months ago."""
    then = datetime.fromtimestamp((now_ms - KEEP_MS) / 1000, UTC)
    return _month_ms(then.year, then.month)


def _next_month(time_ms: int) -> int:
    then = datetime.fromtimestamp(time_ms / 1000, UTC)
    years, month = divmod(then.month, 12)
    return _month_ms(then.year + years, month + 1)


def _month_ms(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


def _end(connection: apsw.Connection, first_ms: int, end_ms: int) -> int:
    """Return up to when points fit into one file; moments are never cut."""
    row = connection.execute(
        "SELECT time_ms FROM stream WHERE time_ms < ? ORDER BY time_ms LIMIT 1"
        " OFFSET ?",
        (end_ms, MOST_POINTS),
    ).fetchone()
    if row is None:
        return end_ms
    return max(int(row[0]), first_ms + 1)


def _streams(connection: apsw.Connection, end_ms: int) -> list[OldStream]:
    """Return the points before a time, and the hours that ended by then."""
    points: defaultdict[int, list[OldPoint]] = defaultdict(list)
    hours: defaultdict[int, list[Sums]] = defaultdict(list)
    for node, *point in connection.execute(
        "SELECT node, time_ms, atp, attention, type FROM stream WHERE time_ms < ?"
        " ORDER BY time_ms",
        (end_ms,),
    ):
        points[node].append(OldPoint(*point))
    for node, *sums in connection.execute(
        "SELECT node, start_ms, type, count, atp, attention FROM stream_hour"
        " WHERE start_ms <= ? ORDER BY start_ms",
        (end_ms - HOUR_MS,),
    ):
        hours[node].append(Sums(*sums))
    return [
        OldStream(node, tuple(points[node]), tuple(hours[node]))
        for node in sorted({*points, *hours})
    ]


def _new_key(connection: apsw.Connection, randomness: Callable[[int], bytes]) -> bytes:
    key = randomness(KEY_BYTES)
    connection.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (_KEY, key))
    return key
