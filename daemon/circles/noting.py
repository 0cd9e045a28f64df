"""What became of a circle's consensus nodes, noted after each new result.

It is this device's own: what it saw, when it looked. A node that fades is noted as one
with nobody in it.

Rule: a result that cannot be noted is compared again the next time, with what was noted
last.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from consensus.result import ConsensusNode, Result
from consensus.succession import News, Seen, news, seen
from crdt import circle_notes_store as store
from crdt.circle_notes_store import Moment, SeenNode
from crdt.database import Connection
from crdt.ids import CircleId
from daemon.circles.shelf import Shelf

KEPT_MS: Final = 730 * 86_400_000
"""How far back the history goes: two years."""


class Noting:
    """Notes the results of one circle."""

    def __init__(
        self, circle: CircleId, shelf: Shelf, wall_ms: Callable[[], int]
    ) -> None:
        """Read nothing yet."""
        self._circle = circle
        self._shelf = shelf
        self._wall_ms = wall_ms
        self._former: Mapping[bytes, Seen] | None = None

    async def note(self, result: Result) -> None:
        """Note durably what a result has that the last one had not.

        Raises a `StoreError`.
        """
        former = self._former
        if former is None:
            former = await self._shelf.read(self._read)
        present = {node.key: seen(node) for node in result.nodes}
        found = await asyncio.to_thread(news, former.values(), result.nodes)
        if found:
            now_ms = self._wall_ms()
            is_first = self._former is None
            await self._shelf.write(
                lambda connection: self._write(
                    connection, found, now_ms, is_first=is_first
                )
            )
        self._former = present

    def _read(self, connection: Connection) -> dict[bytes, Seen]:
        last = store.read_last_moments(connection, self._circle)
        found = {}
        for node in store.read_seen(connection, self._circle):
            moment = last.get(node.key, _nobody(node.key, 0))
            found[node.key] = Seen(
                node.key,
                node.members,
                moment.score,
                moment.counted_authors,
                moment.authors,
            )
        return found

    def _write(
        self, connection: Connection, found: News, now_ms: int, *, is_first: bool
    ) -> None:
        circle = self._circle
        if is_first:
            store.drop_history(connection, circle, now_ms - KEPT_MS)
        store.delete_seen(connection, circle, found.faded)
        store.write_seen(
            connection,
            circle,
            [
                SeenNode(node.key, node.members, node.label, now_ms)
                for node in found.changed
            ],
        )
        moments = [_moment(node, now_ms) for node in found.changed]
        moments += [_nobody(key, now_ms) for key in found.faded]
        store.write_history(connection, circle, moments)
        for old, new in found.continued:
            store.write_alias(connection, circle, old, new, now_ms)


def _moment(node: ConsensusNode, now_ms: int) -> Moment:
    return Moment(
        node.key,
        now_ms,
        node.score,
        node.counted_authors,
        node.contributor_count,
        len(node.members),
    )


def _nobody(key: bytes, now_ms: int) -> Moment:
    return Moment(key, now_ms, 0, 0, 0, 0)
