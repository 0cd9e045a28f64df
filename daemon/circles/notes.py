"""What this device noted of consensus nodes, read from the store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from consensus.contribution import Reference
from consensus.model_tag import DIMENSION
from crdt import circle_notes_store
from crdt.circle_item_store import count_longer
from crdt.circle_items import ItemKind
from crdt.circle_notes_store import Published, SeenNode
from crdt.database import Connection
from crdt.ids import AuthorKey, CircleId, NodeKey
from daemon.circles.movement import Moment
from daemon.circles.ports import LedgerEntry
from daemon.circles.recognising import Recognising
from daemon.owner import Owner

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class StoredNotes:
    """The notes of a home that is served."""

    owner: Owner
    recognising: Recognising

    async def published(self, circle: CircleId) -> Mapping[Reference, LedgerEntry]:
        """Return which nodes this person's references stand for, as far as known."""
        noted = await self._read(
            lambda connection: circle_notes_store.read_ledger(connection, circle)
        )
        return {
            each.reference: LedgerEntry(each.node_key, each.since_ms) for each in noted
        }

    async def recognise(
        self,
        circle: CircleId,
        reference_of: Callable[[NodeKey], Reference],
        unknown: Mapping[Reference, int],
    ) -> Mapping[Reference, LedgerEntry]:
        """Find the nodes of references, each with since when it is out; note them."""
        nodes = await self.recognising.find(reference_of, unknown.keys())
        entries = {
            reference: LedgerEntry(node, unknown[reference])
            for reference, node in nodes.items()
        }
        if entries:
            await self.owner.run(
                lambda replica: replica.put_aside(
                    lambda connection: _write(connection, circle, entries)
                )
            )
        return entries

    async def seen(self, circle: CircleId) -> Sequence[SeenNode]:
        """Return the consensus nodes of the last result that was noted."""
        return await self._read(
            lambda connection: circle_notes_store.read_seen(connection, circle)
        )

    async def live(self, circle: CircleId) -> Mapping[AuthorKey, int]:
        """Return how many contributions of each author are not withdrawn."""
        # What is withdrawn has no vector, and is shorter than one.
        return await self._read(
            lambda connection: count_longer(
                connection, circle, ItemKind.CONTRIBUTION, DIMENSION
            )
        )

    async def aliases(self, circle: CircleId) -> Mapping[bytes, bytes]:
        """Return which consensus node goes on as an earlier one did, by their keys."""
        return await self._read(
            lambda connection: circle_notes_store.read_aliases(connection, circle)
        )

    async def histories(
        self, circle: CircleId, keys: Iterable[bytes], since_ms: int
    ) -> Mapping[bytes, Sequence[Moment]]:
        """Return how consensus nodes stood since a time, oldest first."""
        wanted = tuple(keys)
        return await self._read(
            lambda connection: {
                key: _moments(connection, circle, key, since_ms) for key in wanted
            }
        )

    async def _read(self, question: Callable[[Connection], Answer]) -> Answer:
        return await self.owner.run(lambda replica: replica.look_aside(question))


def _write(
    connection: Connection, circle: CircleId, entries: Mapping[Reference, LedgerEntry]
) -> None:
    for reference, entry in entries.items():
        published = Published(reference, entry.node, entry.since_ms)
        circle_notes_store.write_published(connection, circle, published)


def _moments(
    connection: Connection, circle: CircleId, key: bytes, since_ms: int
) -> list[Moment]:
    noted = circle_notes_store.read_history(connection, circle, key, since_ms)
    return [
        Moment(
            time_ms=each.time_ms,
            score=each.score,
            contributor_count=each.authors,
            counted_authors=each.counted_authors,
            member_count=each.members,
        )
        for each in noted
    ]
