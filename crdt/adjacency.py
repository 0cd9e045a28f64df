"""Who is linked to whom, in twenty-some bytes per edge.

Edges are numbered from 1 like the rows of the read model. Columns hold each edge's
ends, type and whether it shows; two permutations, by source and by target, hold the
edges of a node side by side. Edges newer than the permutations wait in dicts.

Rule: one thread adds, folds and truncates; any thread may read meanwhile, so
permutations and dicts are replaced together, and a reader takes hold of them at once.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

_FOLD_AT_LEAST: Final = 16_384
_FOLD_FRACTION: Final = 12
HIDDEN: Final = 0
PRESENT: Final = 1
REMOVED: Final = 2


@dataclass(frozen=True, slots=True)
class _Side:
    """Edges by the node at one of their ends."""

    first: "memoryview[int]"
    """Per node, the position of its first edge in `numbers`."""
    numbers: "memoryview[int]"
    """Edge numbers ordered by node."""
    recent: dict[int, list[int]] = field(default_factory=dict)
    """Numbers of newer edges by node."""

    def edges(self, node: int) -> list[int]:
        """Return the numbers of a node's edges, ascending."""
        first = self.first
        known = node + 1 < len(first)
        edges = self.numbers[first[node] : first[node + 1]].tolist() if known else []
        newer = self.recent.get(node)
        return edges + newer if newer else edges

    def count(self, node: int) -> int:
        """Return how many edges a node has."""
        first = self.first
        folded = first[node + 1] - first[node] if node + 1 < len(first) else 0
        return folded + len(self.recent.get(node, ()))


class Adjacency:
    """All edges of a graph, as numbers."""

    def __init__(self) -> None:
        """Start with no edge; position 0 of every column is unused."""
        self.sources = array("I", [0])
        self.targets = array("I", [0])
        self.types = array("I", [0])
        self.states = bytearray(1)
        self._folded = 0
        self._sides: tuple[_Side, _Side] = (_empty_side(), _empty_side())
        """Edges by source and by target."""

    def __len__(self) -> int:
        """Return the greatest edge number in use."""
        return len(self.sources) - 1

    def add(self, source: int, target: int, edge_type: int) -> int:
        """Return the number of a new, still hidden edge."""
        self.targets.append(target)
        self.types.append(edge_type)
        self.states.append(HIDDEN)
        self.sources.append(source)
        number = len(self.sources) - 1
        outgoing, incoming = self._sides
        outgoing.recent.setdefault(source, []).append(number)
        incoming.recent.setdefault(target, []).append(number)
        return number

    def truncate(self, length: int) -> None:
        """Forget every edge with a number above `length`; none may be folded yet."""
        outgoing, incoming = self._sides
        for _ in range(len(self) - length):
            outgoing.recent[self.sources.pop()].pop()
            incoming.recent[self.targets.pop()].pop()
            self.types.pop()
            self.states.pop()

    def outgoing(self, node: int) -> list[int]:
        """Return the numbers of all edges that start at `node`, in any state."""
        return self._sides[0].edges(node)

    def incoming(self, node: int) -> list[int]:
        """Return the numbers of all edges that end at `node`, in any state."""
        return self._sides[1].edges(node)

    def linked(self, node: int, node_states: bytearray, shown: int) -> dict[int, None]:
        """Return the other ends of a node's present edges, each once.

        Ends whose state in `node_states` is not `shown` are left out. The quickest way
        to them: everything in one place, nothing made on the way.
        """
        states = self.states
        found: dict[int, None] = {}
        outgoing, incoming = self._sides
        for side, column in ((outgoing, self.targets), (incoming, self.sources)):
            first, numbers, recent = side.first, side.numbers, side.recent
            if node + 1 < len(first):
                for edge in numbers[first[node] : first[node + 1]]:
                    if states[edge] == PRESENT:
                        other = column[edge]
                        if node_states[other] == shown:
                            found[other] = None
            if recent:
                for edge in recent.get(node, ()):
                    if states[edge] == PRESENT and node_states[column[edge]] == shown:
                        found[column[edge]] = None
        return found

    def find(self, source: int, target: int, edge_type: int) -> int:
        """Return the number of the edge with these ends and type, or 0.

        Whichever end has fewer edges is looked through, so hubs cost little.
        """
        outgoing, incoming = self._sides
        if outgoing.count(source) <= incoming.count(target):
            candidates, column, other = outgoing.edges(source), self.targets, target
        else:
            candidates, column, other = incoming.edges(target), self.sources, source
        types = self.types
        for edge in candidates:
            if column[edge] == other and types[edge] == edge_type:
                return edge
        return 0

    def fold(self, *, everything: bool = False) -> None:
        """Sort recent edges into the permutations when there are enough of them."""
        waiting = len(self) - self._folded
        limit = max(_FOLD_AT_LEAST, self._folded // _FOLD_FRACTION)
        if waiting < (1 if everything else limit):
            return
        self._sides = _sorted_side(self.sources), _sorted_side(self.targets)
        self._folded = len(self)

    def columns(self) -> dict[str, memoryview]:
        """Return what `restore` needs, after folding everything."""
        self.fold(everything=True)
        outgoing, incoming = self._sides
        return {
            "edge_sources": memoryview(self.sources).cast("B"),
            "edge_targets": memoryview(self.targets).cast("B"),
            "edge_types": memoryview(self.types).cast("B"),
            "edge_states": memoryview(self.states),
            "outgoing_first": outgoing.first.cast("B"),
            "outgoing_edges": outgoing.numbers.cast("B"),
            "incoming_first": incoming.first.cast("B"),
            "incoming_edges": incoming.numbers.cast("B"),
        }

    def restore(self, columns: Mapping[str, bytearray]) -> None:
        """Take over columns saved by `columns`."""
        self.sources = array("I")
        self.sources.frombytes(columns["edge_sources"])
        self.targets = array("I")
        self.targets.frombytes(columns["edge_targets"])
        self.types = array("I")
        self.types.frombytes(columns["edge_types"])
        self.states = columns["edge_states"]
        outgoing, incoming = (
            _Side(
                memoryview(columns[f"{side}_first"]).cast("I"),
                memoryview(columns[f"{side}_edges"]).cast("I"),
            )
            for side in ("outgoing", "incoming")
        )
        self._sides = outgoing, incoming
        self._folded = len(self)


def _sorted_side(ends: "array[int]") -> _Side:
    """Group edge numbers by one of their ends, in order of number within a node."""
    nodes = np.frombuffer(ends, np.uint32)[1:]
    counts = np.bincount(nodes) if len(nodes) else np.zeros(1, np.int64)
    first = np.zeros(len(counts) + 1, np.uint32)
    np.cumsum(counts, out=first[1:])
    # Node and edge number in one integer: ten times as quick to sort as an argsort.
    pairs = nodes.astype(np.uint64) << np.uint64(32)
    pairs |= np.arange(1, len(nodes) + 1, dtype=np.uint64)
    pairs.sort()
    numbers = pairs.astype(np.uint32)
    return _Side(first.data, numbers.data)


def _empty_side() -> _Side:
    return _Side(np.zeros(1, np.uint32).data, np.empty(0, np.uint32).data)
