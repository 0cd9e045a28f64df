"""What became of a circle's consensus nodes, noted after each new result.

Rules of this file:

1. Only what changed is written: a moment of a node's history for each change of it.
2. It is this device's own history; nothing that members share depends on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consensus.result import ConsensusNode, Result
from consensus.succession import Seen, news
from crdt.circle_notes_store import (
    Moment,
    SeenNode,
    drop_history,
    read_history,
    read_seen,
    replace_seen,
    write_alias,
    write_history,
)
from crdt.database import Connection
from crdt.ids import CircleId
from daemon.circles.shelf import Shelf

KEPT_MS: Final = 366 * 86_400_000
"""For so long a history is kept."""


@dataclass(frozen=True, slots=True)
class Noting:
    """Notes the results of one circle."""

    circle: CircleId
    shelf: Shelf
    wall_ms: Callable[[], int]

    async def note(self, result: Result) -> None:
        """Write what is new in a result, durably."""
        now_ms = self.wall_ms()
        await self.shelf.write(
            lambda connection: write_news(connection, self.circle, result, now_ms)
        )


def write_news(
    connection: Connection, circle: CircleId, result: Result, now_ms: int
) -> None:
    """Write what became of the nodes that were seen last, in one transaction."""
    found = news(_seen(connection, circle), result.nodes)
    if not found:
        return
    write_history(connection, circle, [_moment(node, now_ms) for node in found.changed])
    for former, present in found.continued:
        write_alias(connection, circle, former, present, now_ms)
    replace_seen(
        connection,
        circle,
        [SeenNode(node.key, node.members, node.label, now_ms) for node in result.nodes],
    )
    drop_history(connection, circle, now_ms - KEPT_MS)


def _seen(connection: Connection, circle: CircleId) -> list[Seen]:
    """Return the nodes seen last, as they stood by the newest of their moments."""
    found = []
    for node in read_seen(connection, circle):
        moments = read_history(connection, circle, node.key)
        last = moments[-1] if moments else Moment(node.key, 0, 0, 0, 0, 0)
        found.append(
            Seen(
                key=node.key,
                members=node.members,
                score=last.score,
                counted_authors=last.counted_authors,
                contributor_count=last.authors,
            )
        )
    return found


def _moment(node: ConsensusNode, now_ms: int) -> Moment:
    return Moment(
        key=node.key,
        time_ms=now_ms,
        score=node.score,
        counted_authors=node.counted_authors,
        authors=node.contributor_count,
        members=len(node.members),
    )
