"""What this device notes about circles: what is published, what consensus became.

Rules of this file: everything here happens in the caller's transaction, and none of it
is ever sent to others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import apsw

from crdt.circle_store import CIRCLE_NUMBER
from crdt.ids import CircleId, NodeKey

_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Published:
    """A node of the graph that is out in a circle."""

    reference: bytes
    """What the circle calls it."""
    node_key: NodeKey
    since_ms: int


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A consensus node as it was last seen."""

    key: bytes
    members: tuple[bytes, ...]
    """Ids of contributions, sorted."""
    label: str
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Moment:
    """How a consensus node stood at one time."""

    key: bytes
    time_ms: int
    score: int
    counted_authors: int
    authors: int
    members: int


def read_ledger(connection: apsw.Connection, circle: CircleId) -> list[Published]:
    """Return what is published, the oldest first."""
    return [
        Published(reference, NodeKey(node_key), since_ms)
        for reference, node_key, since_ms in connection.execute(
            "SELECT reference, node_key, since_ms FROM circle_ledger"
            f" WHERE circle = {CIRCLE_NUMBER} ORDER BY since_ms, reference",
            (circle,),
        )
    ]


def circles_with(connection: apsw.Connection, node_key: NodeKey) -> list[CircleId]:
    """Return the circles in which a node is published."""
    return [
        CircleId(circle)
        for (circle,) in connection.execute(
            "SELECT circle.id FROM circle_ledger JOIN circle ON circle.number = circle"
            " WHERE node_key = ? ORDER BY circle.number",
            (node_key,),
        )
    ]


def write_published(
    connection: apsw.Connection, circle: CircleId, published: Published
) -> None:
    """Note that a node is out; one that was out already keeps its time."""
    connection.execute(
        "INSERT OR IGNORE INTO circle_ledger (circle, reference, node_key, since_ms)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?)",
        (circle, published.reference, published.node_key, published.since_ms),
    )


def delete_published(
    connection: apsw.Connection, circle: CircleId, reference: bytes
) -> None:
    """Note that a node was taken back."""
    connection.execute(
        f"DELETE FROM circle_ledger WHERE circle = {CIRCLE_NUMBER} AND reference = ?",
        (circle, reference),
    )


def read_seen(connection: apsw.Connection, circle: CircleId) -> list[SeenNode]:
    """Return the consensus nodes that were seen, by key."""
    return [
        SeenNode(key, _split(members), label, seen_ms)
        for key, members, label, seen_ms in connection.execute(
            "SELECT key, members, label, seen_ms FROM circle_node"
            f" WHERE circle = {CIRCLE_NUMBER} ORDER BY key",
            (circle,),
        )
    ]


def write_seen(
    connection: apsw.Connection, circle: CircleId, nodes: Iterable[SeenNode]
) -> None:
    """Store consensus nodes as they are now."""
    connection.executemany(
        "INSERT OR REPLACE INTO circle_node (circle, key, members, label, seen_ms)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?, ?)",
        [
            (circle, each.key, b"".join(each.members), each.label, each.seen_ms)
            for each in nodes
        ],
    )


def delete_seen(
    connection: apsw.Connection, circle: CircleId, keys: Iterable[bytes]
) -> None:
    """Forget consensus nodes that are no longer there; their history stays."""
    connection.executemany(
        f"DELETE FROM circle_node WHERE circle = {CIRCLE_NUMBER} AND key = ?",
        [(circle, key) for key in keys],
    )


def read_history(
    connection: apsw.Connection, circle: CircleId, key: bytes, since_ms: int = 0
) -> list[Moment]:
    """Return how a consensus node stood from some time on, the oldest first."""
    return [
        Moment(key, *numbers)
        for (*numbers,) in connection.execute(
            "SELECT time_ms, score, counted_authors, authors, members"
            f" FROM circle_history WHERE circle = {CIRCLE_NUMBER} AND key = ?"
            " AND time_ms >= ? ORDER BY time_ms",
            (circle, key, since_ms),
        )
    ]


def read_last_moments(
    connection: apsw.Connection, circle: CircleId
) -> dict[bytes, Moment]:
    """Return how each consensus node that was ever seen stood last."""
    return {
        key: Moment(key, *numbers)
        for key, *numbers in connection.execute(
            "SELECT key, MAX(time_ms), score, counted_authors, authors, members"
            f" FROM circle_history WHERE circle = {CIRCLE_NUMBER} GROUP BY key",
            (circle,),
        )
    }


def write_history(
    connection: apsw.Connection, circle: CircleId, moments: Iterable[Moment]
) -> None:
    """Note how consensus nodes stand."""
    connection.executemany(
        "INSERT OR REPLACE INTO circle_history"
        " (circle, key, time_ms, score, counted_authors, authors, members)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?, ?, ?, ?)",
        [
            (
                circle,
                each.key,
                each.time_ms,
                each.score,
                each.counted_authors,
                each.authors,
                each.members,
            )
            for each in moments
        ],
    )


def drop_history(connection: apsw.Connection, circle: CircleId, before_ms: int) -> None:
    """Drop what is older than anybody asks for."""
    connection.execute(
        f"DELETE FROM circle_history WHERE circle = {CIRCLE_NUMBER} AND time_ms < ?",
        (circle, before_ms),
    )


def read_aliases(
    connection: apsw.Connection, circle: CircleId
) -> Mapping[bytes, bytes]:
    """Return which key goes on each key that was, followed to its end."""
    rows = connection.execute(
        f"SELECT former, present FROM circle_alias WHERE circle = {CIRCLE_NUMBER}",
        (circle,),
    )
    return {bytes(former): bytes(present) for former, present in rows}


def write_alias(
    connection: apsw.Connection,
    circle: CircleId,
    former: bytes,
    present: bytes,
    now_ms: int,
) -> None:
    """Note that one key goes on another, and all that the other went on.

    A key that is there again is an alias of nothing.
    """
    connection.execute(
        f"DELETE FROM circle_alias WHERE circle = {CIRCLE_NUMBER} AND former = ?",
        (circle, present),
    )
    connection.execute(
        "UPDATE circle_alias SET present = ?"
        f" WHERE circle = {CIRCLE_NUMBER} AND present = ?",
        (present, circle, former),
    )
    connection.execute(
        "INSERT OR REPLACE INTO circle_alias (circle, former, present, since_ms)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?)",
        (circle, former, present, now_ms),
    )


def _split(members: bytes) -> tuple[bytes, ...]:
    return tuple(
        members[start : start + _ID_BYTES]
        for start in range(0, len(members), _ID_BYTES)
    )
