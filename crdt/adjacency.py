"""Who is linked to whom, in twenty-some bytes per edge.

Edges are numbered from 1 like the rows of the read model. Columns hold each edge's
ends, type and whether it shows; two permutations, by source and by target, hold the
edges of a node side by side. Edges newer than the permutations wait in dicts.

Rule: one thread adds, folds and truncates; any thread may read meanwhile, so the
permutations are replaced whole before the dicts are emptied.
"""

from array import array
from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np

_FOLD_AT_LEAST: Final = 16_384
_FOLD_FRACTION: Final = 12
HIDDEN: Final = 0
PRESENT: Final = 1
REMOVED: Final = 2

_Sides: TypeAlias = tuple["memoryview[int]", "memoryview[int]"]
"""(first position per node, edge numbers ordered by node)"""


class Adjacency:
    """All edges of a graph, as numbers."""

    def __init__(self) -> None:
        """Start with no edge; position 0 of every column is unused."""
        self.sources = array("I", [0])
        self.targets = array("I", [0])
        self.types = array("H", [0])
        self.states = bytearray(1)
        self._folded = 0
        self._outgoing = self._incoming = _no_sides()
        self._recent_out: dict[int, list[int]] = {}
        self._recent_in: dict[int, list[int]] = {}

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
        self._recent_out.setdefault(source, []).append(number)
        self._recent_in.setdefault(target, []).append(number)
        return number

    def truncate(self, length: int) -> None:
        """Forget every edge with a number above `length`; none may be folded yet."""
        for _ in range(len(self) - length):
            self._recent_out[self.sources.pop()].pop()
            self._recent_in[self.targets.pop()].pop()
            self.types.pop()
            self.states.pop()

    def outgoing(self, node: int) -> list[int]:
        """Return the numbers of all edges that start at `node`, in any state."""
        return _edges(self._outgoing, self._recent_out, node)

    def incoming(self, node: int) -> list[int]:
        """Return the numbers of all edges that end at `node`, in any state."""
        return _edges(self._incoming, self._recent_in, node)

    def linked(self, node: int, node_states: bytearray, shown: int) -> dict[int, None]:
        """Return the other ends of a node's present edges, each once.

        Ends whose state in `node_states` is not `shown` are left out. The quickest way
        to them: everything in one place, nothing made on the way.
        """
        states = self.states
        found: dict[int, None] = {}
        for (first, numbers), recent, column in (
            (self._outgoing, self._recent_out, self.targets),
            (self._incoming, self._recent_in, self.sources),
        ):
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
        if _count(self._outgoing, self._recent_out, source) <= _count(
            self._incoming, self._recent_in, target
        ):
            candidates, column, other = self.outgoing(source), self.targets, target
        else:
            candidates, column, other = self.incoming(target), self.sources, source
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
        self._outgoing = _sides(self.sources)
        self._incoming = _sides(self.targets)
        self._recent_out = {}
        self._recent_in = {}
        self._folded = len(self)

    def columns(self) -> dict[str, memoryview]:
        """Return what `restore` needs, after folding everything."""
        self.fold(everything=True)
        return {
            "edge_sources": memoryview(self.sources).cast("B"),
            "edge_targets": memoryview(self.targets).cast("B"),
            "edge_types": memoryview(self.types).cast("B"),
            "edge_states": memoryview(self.states),
            "outgoing_first": self._outgoing[0].cast("B"),
            "outgoing_edges": self._outgoing[1].cast("B"),
            "incoming_first": self._incoming[0].cast("B"),
            "incoming_edges": self._incoming[1].cast("B"),
        }

    def restore(self, columns: Mapping[str, bytearray]) -> None:
        """Take over columns saved by `columns`."""
        self.sources = array("I")
        self.sources.frombytes(columns["edge_sources"])
        self.targets = array("I")
        self.targets.frombytes(columns["edge_targets"])
        self.types = array("H")
        self.types.frombytes(columns["edge_types"])
        self.states = columns["edge_states"]
        self._outgoing, self._incoming = (
            (
                memoryview(columns[f"{side}_first"]).cast("I"),
                memoryview(columns[f"{side}_edges"]).cast("I"),
            )
            for side in ("outgoing", "incoming")
        )
        self._recent_out = {}
        self._recent_in = {}
        self._folded = len(self)


def _edges(sides: _Sides, recent: dict[int, list[int]], node: int) -> list[int]:
    first, numbers = sides
    edges = (
        numbers[first[node] : first[node + 1]].tolist() if node + 1 < len(first) else []
    )
    newer = recent.get(node)
    return edges + newer if newer else edges


def _count(sides: _Sides, recent: dict[int, list[int]], node: int) -> int:
    first, _ = sides
    folded = first[node + 1] - first[node] if node + 1 < len(first) else 0
    return folded + len(recent.get(node, ()))


def _sides(ends: "array[int]") -> _Sides:
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
    return first.data, numbers.data


def _no_sides() -> _Sides:
    return np.zeros(1, np.uint32).data, np.empty(0, np.uint32).data
