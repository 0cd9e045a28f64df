"""The history of nodes: how much energy they had, and when.

A stream is local: what this device saw. Points are written when something happens to
a node, so a quiet node costs nothing.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, Literal, TypeAlias

import apsw
import msgspec

from crdt import energy

Bucket: TypeAlias = Literal["raw", "hour", "day"]
_BUCKET_MS: Final[dict[Bucket, int]] = {"raw": 1, "hour": 3_600_000, "day": 86_400_000}


class Point(msgspec.Struct, frozen=True):
    """One point of a stream; in a bucket, the mean over it at its start."""

    time_ms: int
    atp: float
    attention: float
    """0 to 1, see `crdt.energy.attention`."""
    type: str
    """What happened: `pulse`."""


def record_point(
    connection: apsw.Connection, node: int, time_ms: int, atp: float, kind: str
) -> None:
    """Add a point to the stream of a node row, in the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO stream (node, time_ms, atp, attention, type)"
        " VALUES (?, ?, ?, ?, ?)",
        (node, time_ms, atp, energy.attention(atp), kind),
    )


def read_stream(
    connection: apsw.Connection,
    node: int,
    since_ms: int,
    until_ms: int,
    *,
    bucket: Bucket,
    limit: int,
) -> list[Point]:
    """Return the points of a node row in [since, until), oldest first."""
    rows = connection.execute(
        "SELECT time_ms - time_ms % ?1 AS start, avg(atp), avg(attention), type"
        " FROM stream WHERE node = ?2 AND time_ms >= ?3 AND time_ms < ?4"
        " GROUP BY start, type ORDER BY start, type LIMIT ?5",
        (_BUCKET_MS[bucket], node, since_ms, until_ms, limit),
    )
    return [Point(*row) for row in rows]


def pulse_times(
    connection: apsw.Connection, since_ms: int, until_ms: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield (node row, times of its pulses in [since, until), in order)."""
    rows: Iterator[tuple[int, int]] = connection.execute(
        "SELECT node, time_ms FROM stream WHERE time_ms >= ? AND time_ms < ?"
        " AND type = 'pulse' ORDER BY node, time_ms",
        (since_ms, until_ms),
    )
    for node, group in groupby(rows, key=itemgetter(0)):
        yield node, [time for _, time in group]


def known_since(connection: apsw.Connection) -> int | None:
    """Return the time of the oldest point of any stream, None if there is none."""
    rows: list[tuple[int | None]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT min(time_ms) FROM stream"
    ).fetchall()
    return rows[0][0]
