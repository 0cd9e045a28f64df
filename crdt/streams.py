"""The history of nodes: how much energy they had, and when.

A stream is local: what this device saw. Points are written when something happens to
a node, so a quiet node costs nothing.
"""

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
