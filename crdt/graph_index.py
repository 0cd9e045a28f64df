"""The living graph in memory: keys, links, visibility and energy by number.

It holds no text, costs tens of bytes per node and edge, and answers in microseconds.
It is derived: saved as columns now and then, caught up from the read model at start,
and built anew from it when the columns are missing.

Rule: numbers appear here before their commit, but hidden; the owner shows them when
the commit is durable, so no reader sees a state that may still be taken back.
"""

from array import array
from collections.abc import Iterator, Mapping
from typing import Final

from crdt import energy
from crdt.adjacency import PRESENT, Adjacency
from crdt.ids import EdgeId, NodeKey, edge_id, source_hash
from crdt.key_table import KeyTable

GHOST: Final = 0
"""Named by an edge, but no device has created it (or not yet)."""
VISIBLE: Final = 1
TRASHED: Final = 2


class GraphIndex:
    """All nodes and edges of one graph, as numbers."""

    def __init__(self) -> None:
        """Start empty; position 0 of every column is unused."""
        self.keys = KeyTable()
        self.edges = Adjacency()
        self.states = bytearray(1)
        self.landmarks = array("d", [energy.EMPTY])
        self.other_landmarks: dict[int, energy.Others] = {}
        """Of the few nodes with energy under another half-life than the usual one."""
        self._half_lives: dict[str, int] = {}
        self.edge_types: list[str] = [""]
        self._edge_type_numbers: dict[str, int] = {"": 0}

    def add_node(self, key: NodeKey) -> int:
        """Return the number of a new ghost."""
        self.states.append(GHOST)
        self.landmarks.append(energy.EMPTY)
        return self.keys.add(key)

    def edge_type_number(self, name: str) -> int | None:
        """Return the number of an edge type, or None if no edge has had it."""
        return self._edge_type_numbers.get(name)

    def add_edge_type(self, name: str) -> int:
        """Return the number of a new edge type."""
        self.edge_types.append(name)
        self._edge_type_numbers[name] = len(self.edge_types) - 1
        return len(self.edge_types) - 1

    def truncate(self, nodes: int, edges: int, edge_types: int) -> None:
        """Forget numbers above these, which were added and never shown."""
        self.edges.truncate(edges)
        self.keys.truncate(nodes)
        del self.states[nodes + 1 :]
        for node in range(nodes + 1, len(self.landmarks)):
            self.other_landmarks.pop(node, None)
        del self.landmarks[nodes + 1 :]
        for name in self.edge_types[edge_types + 1 :]:
            del self._edge_type_numbers[name]
        del self.edge_types[edge_types + 1 :]

    def is_visible(self, key: str) -> bool:
        """Whether a node with this key shows."""
        return self.states[self.keys.number(key)] == VISIBLE

    def links(
        self, node: int, *, outgoing: bool = True, incoming: bool = True
    ) -> Iterator[tuple[int, int]]:
        """Yield (edge number, number of the other end) of every link that shows.

        A loop shows once, as outgoing if that is asked for.
        """
        edges, states = self.edges, self.states
        if outgoing:
            for edge in edges.outgoing(node):
                other = edges.targets[edge]
                if edges.states[edge] == PRESENT and states[other] == VISIBLE:
                    yield edge, other
        if incoming:
            for edge in edges.incoming(node):
                other = edges.sources[edge]
                if (
                    edges.states[edge] == PRESENT
                    and states[other] == VISIBLE
                    and not (outgoing and other == node)
                ):
                    yield edge, other

    def find_edge(self, source: int, edge_type: str, target: int) -> int:
        """Return the number of an edge, in any state, or 0; ends are by number."""
        kind = self._edge_type_numbers.get(edge_type)
        return 0 if kind is None else self.edges.find(source, target, kind)

    def edge_number(self, identity: EdgeId) -> int:
        """Return the number of the edge with an id, in any state, or 0."""
        for source in self.keys.numbers(source_hash(identity)):
            key = self.keys.key(source)
            for edge in self.edges.outgoing(source):
                target = self.keys.key(self.edges.targets[edge])
                if edge_id(key, self.edge_types[self.edges.types[edge]], target) == (
                    identity
                ):
                    return edge
        return 0

    def neighbours(self, key: str) -> list[NodeKey]:
        """Return the keys linked with a node in either direction, each once."""
        node = self.keys.number(key)
        states = self.states
        if states[node] != VISIBLE:
            return []
        others = self.edges.linked(node, states, VISIBLE)
        others.pop(node, None)
        return self.keys.keys(others)

    def atp(self, node: int, now_ms: int) -> float:
        """Return the energy of a visible node."""
        if node in self.other_landmarks:
            return energy.atp_of(self.landmarks_of(node), now_ms)
        return energy.atp(self.landmarks[node], now_ms)

    def landmarks_of(self, node: int) -> energy.Landmarks:
        """Return what the energy of a node follows from."""
        return self.landmarks[node], self.other_landmarks.get(node, ())

    def set_landmarks(self, node: int, landmarks: energy.Landmarks) -> None:
        """Let a node have this energy."""
        self.landmarks[node], others = landmarks
        if others:
            self.other_landmarks[node] = others
        else:
            self.other_landmarks.pop(node, None)

    def half_life(self, network: str) -> int:
        """Return the half-life of a network, in hours."""
        return self._half_lives.get(network, energy.HALF_LIFE)

    @property
    def half_lives(self) -> Mapping[str, int]:
        """The half-lives of the networks that have another than the usual one."""
        return dict(self._half_lives)

    def set_half_life(self, network: str, hours: int) -> None:
        """Let a network have this half-life."""
        if hours == energy.HALF_LIFE:
            self._half_lives.pop(network, None)
        else:
            self._half_lives[network] = hours

    def fold(self) -> None:
        """Sort in what was added lately, if it is much."""
        self.keys.fold()
        self.edges.fold()

    def columns(self) -> dict[str, memoryview]:
        """Return what `restore` needs, as bytes by name."""
        return {
            **self.keys.columns(),
            **self.edges.columns(),
            "node_states": memoryview(self.states),
            "node_landmarks": memoryview(self.landmarks).cast("B"),
        }

    def restore(self, columns: Mapping[str, bytearray]) -> None:
        """Take over columns saved by `columns`; edge types are added apart."""
        self.keys.restore(columns)
        self.edges.restore(columns)
        self.states = columns["node_states"]
        self.landmarks = array("d")
        self.landmarks.frombytes(columns["node_landmarks"])
