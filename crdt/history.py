"""The history of a node as one: what is in the store, and what was archived.

Rule: each question sees one committed state, for a part of the history changes its
place when it is archived.
"""

from pathlib import Path

import apsw

from crdt.stream_archive import old_streams
from crdt.stream_points import Bucket, Point, Sums, means
from crdt.streams import read_points, read_sums


def read_history(
    connection: apsw.Connection,
    home: Path,
    node: int,
    since_ms: int,
    until_ms: int,
    *,
    bucket: Bucket,
    limit: int,
) -> list[Point]:
    """Return the history of a node row in [since, until), oldest first.

    Raises `DamagedError` if a file of the archive that it needs is not whole.
    """
    bounds = since_ms, until_ms
    with connection:
        match bucket:
            case "raw":
                points = _old_points(connection, home, node, bounds, limit)
                points += read_points(connection, node, *bounds, limit)
                points.sort(key=lambda point: (point.time_ms, point.type))
            case "hour":
                sums = _old_hours(connection, home, node, bounds, limit)
                sums += read_sums(connection, node, *bounds, bucket="hour", limit=limit)
                points = means(sums)
            case "day":
                points = means(
                    read_sums(connection, node, *bounds, bucket="day", limit=limit)
                )
    return points[:limit]


def _old_points(
    connection: apsw.Connection,
    home: Path,
    node: int,
    bounds: tuple[int, int],
    limit: int,
) -> list[Point]:
    found: list[Point] = []
    for part, stream in old_streams(connection, home, node, *bounds):
        if len(found) >= limit and part.first_ms > found[limit - 1].time_ms:
            break
        found += [
            old.point() for old in stream.points if bounds[0] <= old.time_ms < bounds[1]
        ]
        found.sort(key=lambda point: (point.time_ms, point.type))
    return found


def _old_hours(
    connection: apsw.Connection,
    home: Path,
    node: int,
    bounds: tuple[int, int],
    limit: int,
) -> list[Sums]:
    found: list[Sums] = []
    for part, stream in old_streams(connection, home, node, *bounds):
        # Files overlap by an hour at most: one more tells that no other adds to these.
        if len(found) > 2 * limit and part.first_ms > found[2 * limit].start_ms:
            break
        found += [old for old in stream.hours if bounds[0] <= old.start_ms < bounds[1]]
        found.sort(key=lambda sums: (sums.start_ms, sums.type))
    return found
