"""Publishing to a circle: shown, then sent; taken back; and what is out.

Rules of this file:

1. Nothing leaves but by `publish`, one node to one circle at a time; nothing else of
   the node goes with it than its label.
2. Whoever publishes was shown the record or chose to publish by a rule; what is sent is
   then made again, for a record has the number that is next when it is kept.
3. The text of a person is in no error and no log.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from consensus.contribution import Contribution
from crdt.errors import ConflictError, NotFoundError
from crdt.ids import NodeKey
from crdt.records import Node
from daemon.circles.ports import CirclePort, MeaningPort, NotesPort
from daemon.circles.preview import (
    NOT_PUBLISHED,
    Pen,
    epoch_start_ms,
    publishable,
    reaches,
    record_of,
)

PATIENCE_SECONDS: Final = 60.0
"""How long whoever publishes waits for the model."""


@dataclass(frozen=True, slots=True)
class Out:
    """A text of this person that members of a circle can read."""

    contribution: Contribution
    node: NodeKey | None
    """None if another device published it and this one does not know of which node."""
    since_ms: int


@dataclass(frozen=True, slots=True)
class Publishing:
    """Publishes this person's thoughts to circles."""

    meaning: MeaningPort
    notes: NotesPort
    wall_ms: Callable[[], int]

    async def preview(self, circle: CirclePort, node: Node) -> Contribution:
        """Return the record that publishing a node now would send.

        Raises `InvalidError` if the circle cannot take its label, `EmbeddingError`
        while there is no vector.
        """
        text = publishable(node.label)
        embedded = await self.meaning.embedded(text, PATIENCE_SECONDS)
        return record_of(_pen(circle, node.key), text, embedded, self.wall_ms())

    async def publish(self, circle: CirclePort, node: Node) -> tuple[Out, bool]:
        """Publish a node's label; return what is out, and whether it is news.

        The same text again, of the same model, is left as it is. Raises as `preview`
        does, or `ConflictError` if the circle takes nothing from this person.
        """
        contribution = await self.preview(circle, node)
        there = await self.of_node(circle, node.key)
        if there is not None and says_the_same(there, contribution):
            return there, False
        await circle.records.contribute(contribution, node.key)
        out = await self.of_node(circle, node.key)
        if out is None:
            message = (
                "It was kept and taken back at once by another device of yours:"
                " nothing is published of this node."
            )
            raise ConflictError(message)
        return out, True

    async def withdraw(self, circle: CirclePort, key: NodeKey) -> Out:
        """Take back what was published of a node; return what it was.

        Raises `NotFoundError` if nothing of it is out.
        """
        out = await self.of_node(circle, key)
        if out is None:
            raise NotFoundError(NOT_PUBLISHED)
        await circle.records.retract(key)
        return out

    async def ledger(self, circle: CirclePort) -> list[Out]:
        """Return everything of this person that is out, the newest first."""
        return await ledger(circle, self.notes)

    async def everything(self, circle: CirclePort) -> list[Out]:
        """Return everything that is out, whoever said it, the newest first."""
        contributions = await circle.records.contributions()
        return await _out(circle, self.notes, contributions)

    async def of_node(self, circle: CirclePort, key: NodeKey) -> Out | None:
        """Return what is out of a node, None if nothing is."""
        records = circle.records
        reference = records.reference(key)
        found = await records.contribution(records.author, reference)
        if found is None:
            return None
        out = await _out(circle, self.notes, (found,))
        return replace(out[0], node=key) if out else None

    async def resonance(
        self, circle: CirclePort, vector: bytes, model: bytes
    ) -> int | None:
        """Return the best resonance with what others contributed, in basis points.

        None if nobody else contributed anything that can be compared.
        """
        me = circle.records.author
        found = await circle.collective.nearest(vector, model, 1, me)
        return next((near for _, near in found), None)

    async def publish_if_resonant(
        self, circle: CirclePort, node: Node, resonance_bp: int | None
    ) -> Out | None:
        """Publish a node if it resonates enough with others; None if it does not."""
        if resonance_bp is None or not reaches(resonance_bp, circle.preset):
            return None
        out, _ = await self.publish(circle, node)
        return out


def says_the_same(there: Out | None, wanted: Contribution) -> bool:
    """Whether publishing a record would change nothing of what is out of its node."""
    return there is not None and (
        (there.contribution.text, there.contribution.model)
        == (wanted.text, wanted.model)
    )


async def ledger(circle: CirclePort, notes: NotesPort) -> list[Out]:
    """Return everything of this person that is out in a circle, the newest first."""
    records = circle.records
    return await _out(circle, notes, await records.contributions_of(records.author))


async def _out(
    circle: CirclePort, notes: NotesPort, contributions: Iterable[Contribution]
) -> list[Out]:
    records, noted = circle.records, await notes.published(circle.id)
    live = [each for each in contributions if each.is_live]
    unknown = {
        each.reference: epoch_start_ms(each.epoch)
        for each in live
        if each.author == records.author and each.reference not in noted
    }
    if unknown:
        found_now = await notes.recognise(circle.id, records.reference, unknown)
        noted = {**noted, **found_now}
    found = []
    for each in live:
        is_mine = each.author == records.author
        entry = noted.get(each.reference) if is_mine else None
        if entry is not None:
            found.append(Out(each, entry.node, entry.since_ms))
        else:
            found.append(Out(each, None, epoch_start_ms(each.epoch)))
    return sorted(found, key=lambda out: (-out.since_ms, out.contribution.id))


def _pen(circle: CirclePort, key: NodeKey) -> Pen:
    records = circle.records
    return Pen(
        records.circle,
        records.author,
        records.reference(key),
        records.next_sequence(),
    )
