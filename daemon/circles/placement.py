"""Which nodes of the person stand with which consensus nodes, as last seen.

Read for every node that is shown, so it is a look into memory; made anew whenever a
result is known or a node is linked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crdt.ids import CircleId, NodeKey


@dataclass(slots=True)
class Placement:
    """The consensus nodes of each node, in all circles."""

    _by_circle: dict[CircleId, Mapping[NodeKey, frozenset[bytes]]] = field(
        default_factory=dict
    )

    def put(self, circle: CircleId, pairs: Iterable[tuple[NodeKey, bytes]]) -> None:
        """Take over what a circle comes to: (node, consensus node) each."""
        found: defaultdict[NodeKey, set[bytes]] = defaultdict(set)
        for node, consensus in pairs:
            found[node].add(consensus)
        self._by_circle[circle] = {
            node: frozenset(keys) for node, keys in found.items()
        }

    def forget(self, circle: CircleId) -> None:
        """Let go of a circle."""
        self._by_circle.pop(circle, None)

    def of(self, node: NodeKey) -> list[str]:
        """Return the keys of the consensus nodes that a node stands with, in order."""
        found = (each.get(node, frozenset()) for each in self._by_circle.values())
        return sorted(key.hex() for keys in found for key in keys)

    def nodes(self, circle: CircleId, consensus: bytes) -> list[NodeKey]:
        """Return the person's nodes that stand with a consensus node, in order."""
        placed = self._by_circle.get(circle, {})
        return sorted(node for node, keys in placed.items() if consensus in keys)
