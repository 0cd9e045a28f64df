"""Which node a contribution came from that another of the person's devices published.

A reference tells nothing of its node's key, not even to the person: the keys of the
graph are tried one by one. That is done once for each reference that is not known, and
again some minutes later for those that no node of this device fits.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from consensus.contribution import Reference
from crdt.graph_reader import GraphReader
from crdt.ids import NodeKey
from daemon.circles.ports import GraphPort

MOST_NODES: Final = 200_000
"""Nodes that are tried; it takes about a second for these."""
AGAIN_MS: Final = 300_000
_AT_ONCE: Final = 1_000


@dataclass(slots=True)
class Recognising:
    """Finds the nodes of references."""

    graph: GraphPort
    wall_ms: Callable[[], int]
    _tried: dict[Reference, int] = field(default_factory=dict)

    async def find(
        self,
        reference_of: Callable[[NodeKey], Reference],
        wanted: Collection[Reference],
    ) -> Mapping[Reference, NodeKey]:
        """Return the nodes of those of some references that were not tried lately."""
        now_ms = self.wall_ms()
        due = frozenset(
            each for each in wanted if now_ms - self._tried.get(each, 0) >= AGAIN_MS
        )
        if not due:
            return {}
        self._tried |= dict.fromkeys(due, now_ms)
        return await self.graph.read(lambda reader: search(reader, reference_of, due))


def search(
    reader: GraphReader,
    reference_of: Callable[[NodeKey], Reference],
    wanted: Collection[Reference],
) -> dict[Reference, NodeKey]:
    """Return which nodes of a graph some references stand for."""
    found: dict[Reference, NodeKey] = {}
    after = ""
    for _ in range(0, MOST_NODES, _AT_ONCE):
        nodes = reader.nodes(limit=_AT_ONCE, after=after)
        for node in nodes:
            reference = reference_of(node.key)
            if reference in wanted:
                found[reference] = node.key
        if len(nodes) < _AT_ONCE or len(found) == len(wanted):
            break
        after = nodes[-1].key
    return found
