"""Which consensus node goes on as an earlier one did, and what else is new.

A node's key follows from its earliest contribution, so it can change while nearly all
members stay. This is each device's own history: no result depends on it.

Rules of this file:

1. A key that is still there is the same node. Of the others, a former node is continued
   by a new one with which it has at least half of their members in common.
2. One continues one: the most alike first, of equally alike ones the smaller keys.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from consensus.result import ConsensusNode

NodeKey: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as it was the last time."""

    key: NodeKey
    members: tuple[bytes, ...]
    """Ids of contributions, in order."""
    score: int
    counted_authors: int
    contributor_count: int


@dataclass(frozen=True, slots=True)
class News:
    """What a result has that the last one had not."""

    changed: tuple[ConsensusNode, ...] = ()
    """Nodes that are new, or of which a member, a count or the score changed."""
    faded: tuple[NodeKey, ...] = ()
    """Keys that are no longer there, continued or not."""
    continued: tuple[tuple[NodeKey, NodeKey], ...] = ()
    """Former keys and those of the nodes that continue them."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.changed or self.faded)


def seen(node: ConsensusNode) -> Seen:
    """Return what has to be remembered of a node."""
    return Seen(
        node.key,
        node.members,
        node.score,
        node.counted_authors,
        node.contributor_count,
    )


def news(former: Iterable[Seen], present: Iterable[ConsensusNode]) -> News:
    """Return what became of the nodes seen last."""
    before = {each.key: each for each in former}
    now = {each.key: each for each in present}
    continued = successors(
        {key: each.members for key, each in before.items() if key not in now},
        {key: each.members for key, each in now.items() if key not in before},
    )
    return News(
        changed=tuple(
            node for key, node in sorted(now.items()) if before.get(key) != seen(node)
        ),
        faded=tuple(sorted(before.keys() - now.keys())),
        continued=tuple(sorted(continued.items())),
    )


def successors(
    former: Mapping[NodeKey, Collection[bytes]],
    present: Mapping[NodeKey, Collection[bytes]],
) -> dict[NodeKey, NodeKey]:
    """Return which of `present` continues which of `former`, by their members.

    A member is in one node of each at most, as in a result.
    """
    place = {member: key for key, members in present.items() for member in members}
    pairs: list[tuple[int, int, NodeKey, NodeKey]] = []
    for old, members in former.items():
        common: defaultdict[NodeKey, int] = defaultdict(int)
        for member in members:
            if member in place:
                common[place[member]] += 1
        for new, shared in common.items():
            either = len(members) + len(present[new]) - shared
            if 2 * shared >= either:
                pairs.append((shared, either, old, new))
    # Of the most alike, `shared / either` is the largest: exactly, as whole numbers of
    # a size that no circle reaches.
    pairs.sort(key=lambda pair: (-(pair[0] << 64) // pair[1], pair[2], pair[3]))
    found: dict[NodeKey, NodeKey] = {}
    taken: set[NodeKey] = set()
    for _, _, old, new in pairs:
        if old not in found and new not in taken:
            found[old] = new
            taken.add(new)
    return found
