"""The history of nodes: how much energy they had, and when.

A stream is local: what this device saw. Points are written when something happens to
a node, so a quiet node costs nothing. Each is counted in its hour and its day (UTC) as
well, in the same transaction; of a storm of pulses only the first `MOST_A_MINUTE` of
each minute stand as points of their own, and hours and days count them all.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, Literal

import apsw

from crdt import energy
from crdt.stream_points import DAY_MS, HOUR_MS, MINUTE_MS, Point, Sums

MOST_A_MINUTE: Final = 10
"""Points of one node and kind in one minute; more add nothing that anybody asks."""
_GATHERED: Final = (("stream_hour", HOUR_MS), ("stream_day", DAY_MS))


def record_point(
    connection: apsw.Connection, node: int, time_ms: int, atp: float, kind: str
) -> None:
    """Add a point to the stream of a node row, in the caller's transaction."""
    attention = energy.attention(atp)
    for table, width in _GATHERED:
        connection.execute(
            f"INSERT INTO {table} (node, start_ms, type, count, atp, attention)"
            " VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (node, start_ms, type) DO UPDATE"
            " SET count = count + 1, atp = atp + excluded.atp,"
            " attention = attention + excluded.attention",
            (node, time_ms - time_ms % width, kind, atp, attention),
        )
    minute = time_ms - time_ms % MINUTE_MS
    rows: list[tuple[int]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT count(*) FROM stream WHERE node = ? AND time_ms >= ? AND time_ms < ?"
        " AND type = ?",
        (node, minute, minute + MINUTE_MS, kind),
    ).fetchall()
    if rows[0][0] < MOST_A_MINUTE:
        connection.execute(
            "INSERT OR REPLACE INTO stream (node, time_ms, atp, attention, type)"
            " VALUES (?, ?, ?, ?, ?)",
            (node, time_ms, atp, attention, kind),
        )


def read_points(
    connection: apsw.Connection, node: int, since_ms: int, until_ms: int, limit: int
) -> list[Point]:
    """Return the points of a node row in [since, until), oldest first."""
    rows = connection.execute(
        "SELECT time_ms, atp, attention, type FROM stream"
        " WHERE node = ? AND time_ms >= ? AND time_ms < ?"
        " ORDER BY time_ms, type LIMIT ?",
        (node, since_ms, until_ms, limit),
    )
    return [Point(*row) for row in rows]


def read_sums(
    connection: apsw.Connection,
    node: int,
    since_ms: int,
    until_ms: int,
    *,
    bucket: Literal["hour", "day"],
    limit: int,
) -> list[Sums]:
    """Return the hours or days of a node row that begin in [since, until)."""
    rows = connection.execute(
        f"SELECT start_ms, type, count, atp, attention FROM stream_{bucket}"
        " WHERE node = ? AND start_ms >= ? AND start_ms < ?"
        " ORDER BY start_ms, type LIMIT ?",
        (node, since_ms, until_ms, limit),
    )
    return [Sums(*row) for row in rows]


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
    """Return the time of the oldest point that is not archived, None without any."""
    rows: list[tuple[int | None]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT min(time_ms) FROM stream"
    ).fetchall()
    return rows[0][0]
