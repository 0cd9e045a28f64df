"""Which node a contribution came from that another of the person's devices published.

A reference tells nothing of its node's key, not even to the person: the keys of the
graph are tried one by one. That is done when a reference is met that is not known, and
again for those that no node of this device fits yet, ever less often.
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
AGAIN_MS: Final = 2_000
"""After the first try; each time twice as long, but never longer than `RARELY_MS`."""
RARELY_MS: Final = 600_000
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Tried:
    """When a reference is tried again, and how long it waits until then."""

    pause_ms: int
    again_ms: int


@dataclass(slots=True)
class Recognising:
    """Finds the nodes of references."""

    graph: GraphPort
    wall_ms: Callable[[], int]
    _tried: dict[Reference, _Tried] = field(default_factory=dict)

    async def find(
        self,
        reference_of: Callable[[NodeKey], Reference],
        wanted: Collection[Reference],
    ) -> Mapping[Reference, NodeKey]:
        """Return the nodes of those of some references that were not tried lately."""
        now_ms = self.wall_ms()
        due = frozenset(
            each
            for each in wanted
            if each not in self._tried or self._tried[each].again_ms <= now_ms
        )
        if not due:
            return {}
        for each in due:
            former = self._tried.get(each)
            pause_ms = AGAIN_MS if former is None else 2 * former.pause_ms
            pause_ms = min(pause_ms, RARELY_MS)
            self._tried[each] = _Tried(pause_ms, now_ms + pause_ms)
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
