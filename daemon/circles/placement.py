"""Which nodes of the person stand with which consensus nodes, as last seen.

Read for every node that is shown, so it is a look into memory; made anew whenever a
result is known or a node is linked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crdt.ids import CircleId, NodeKey


@dataclass(frozen=True, slots=True)
class Placed:
    """A node of the person that stands with a consensus node."""

    node: NodeKey
    consensus: bytes
    is_kept: bool = False
    """Whether it is the consensus node itself, as it is kept in the graph."""


@dataclass(slots=True)
class Placement:
    """The consensus nodes of each node, in all circles."""

    _by_node: dict[CircleId, Mapping[NodeKey, frozenset[bytes]]] = field(
        default_factory=dict
    )
    _linked: dict[CircleId, Mapping[bytes, frozenset[NodeKey]]] = field(
        default_factory=dict
    )

    def put(self, circle: CircleId, placed: Iterable[Placed]) -> None:
        """Take over how all nodes stand in a circle."""
        by_node: defaultdict[NodeKey, set[bytes]] = defaultdict(set)
        linked: defaultdict[bytes, set[NodeKey]] = defaultdict(set)
        for each in placed:
            by_node[each.node].add(each.consensus)
            if not each.is_kept:
                linked[each.consensus].add(each.node)
        self._by_node[circle] = {key: frozenset(all_) for key, all_ in by_node.items()}
        self._linked[circle] = {key: frozenset(all_) for key, all_ in linked.items()}

    def of(self, node: NodeKey) -> list[str]:
        """Return the keys of the consensus nodes that a node stands with, in order."""
        found = (each.get(node, frozenset()) for each in self._by_node.values())
        return sorted(key.hex() for keys in found for key in keys)

    def linked(self, circle: CircleId, consensus: bytes) -> list[NodeKey]:
        """Return the nodes that are part of a consensus node or linked with it."""
        return sorted(self._linked.get(circle, {}).get(consensus, ()))
