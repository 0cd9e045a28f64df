"""What is told of consensus nodes beside what the rule says: keywords, weeks, whose."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consensus.contribution import Author, Contribution, decode_contribution
from consensus.keywords import keywords
from consensus.result import ConsensusNode, Result
from crdt.circle_items import ItemKind
from crdt.ids import CircleId
from crdt.keys import SIGNATURE_BYTES
from daemon.circles.ports import CirclePort


@dataclass(frozen=True, slots=True)
class Detail:
    """More about a consensus node."""

    keywords: tuple[str, ...]
    first_epoch: int
    last_epoch: int
    is_mine: bool
    """Whether a contribution of this person is part of it."""


@dataclass(slots=True)
class Details:
    """The details of each circle's last result."""

    _known: dict[CircleId, tuple[bytes, Mapping[bytes, Detail]]] = field(
        default_factory=dict
    )

    async def of(self, circle: CirclePort, result: Result) -> Mapping[bytes, Detail]:
        """Return the details of a result's nodes by their keys."""
        known = self._known.get(circle.id)
        if known is not None and known[0] == result.hash:
            return known[1]
        contributions = await circle.records.contributions()
        found = await asyncio.to_thread(
            details, result.nodes, contributions, circle.records.author
        )
        self._known[circle.id] = result.hash, found
        return found


async def texts(
    circle: CirclePort, ids: Sequence[bytes]
) -> Mapping[bytes, Contribution]:
    """Return those of some contributions that stand still, by their ids."""
    items = await circle.records.load(ItemKind.CONTRIBUTION, ids)
    decoded = await asyncio.to_thread(
        lambda: [decode_contribution(each.content[:-SIGNATURE_BYTES]) for each in items]
    )
    return {each.id: each for each in decoded}


def details(
    nodes: Sequence[ConsensusNode], contributions: Iterable[Contribution], me: Author
) -> Mapping[bytes, Detail]:
    """Return the details of nodes by their keys.

    What members withdrew while this was asked is left out.
    """
    held = {each.id: each for each in contributions}
    members = [[held[id_] for id_ in node.members if id_ in held] for node in nodes]
    telling = keywords(
        ([each.text for each in group] for group in members),
        (each.text for each in held.values()),
    )
    found = {}
    for node, group, words in zip(nodes, members, telling, strict=True):
        epochs = [each.epoch for each in group] or [0]
        is_mine = any(each.author == me for each in group)
        found[node.key] = Detail(words, min(epochs), max(epochs), is_mine)
    return found
