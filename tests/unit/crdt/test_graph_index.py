"""The living graph in memory against plain dicts and lists."""

from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt import energy
from crdt.adjacency import HIDDEN, PRESENT, REMOVED, Adjacency
from crdt.graph_index import GHOST, TRASHED, VISIBLE, GraphIndex
from crdt.ids import EdgeId, NodeKey, edge_id, key_hash
from crdt.key_table import KeyTable
from tests.support.histories import KEYS

EdgeRow: TypeAlias = tuple[int, str, int]
"""(source number, type, target number)"""
TYPES = ("child", "", "x", "日本")

node_keys = st.sampled_from(KEYS) | st.text("ab\U0001f600", min_size=1, max_size=4)
actions = st.one_of(
    st.tuples(st.just("node"), node_keys, st.sampled_from((GHOST, VISIBLE, TRASHED))),
    st.tuples(st.just("node"), node_keys, st.just(VISIBLE)),
    st.tuples(
        st.just("edge"),
        st.tuples(st.integers(0, 30), st.sampled_from(TYPES), st.integers(0, 30)),
        st.sampled_from((HIDDEN, PRESENT, PRESENT, REMOVED)),
    ),
    st.tuples(
        st.sampled_from(("fold", "save", "undo")), st.integers(0, 3), st.integers(0, 3)
    ),
)


@dataclass
class Model:
    """What a graph index should hold."""

    nodes: list[tuple[str, int]] = field(default_factory=list)
    edges: list[tuple[EdgeRow, int]] = field(default_factory=list)

    def number(self, key: str) -> int:
        keys = [name for name, _ in self.nodes]
        return keys.index(key) + 1 if key in keys else 0

    def links(self, node: int) -> list[tuple[int, int]]:
        """Return (edge, other end) of what shows, outgoing first, a loop once."""
        out, back = [], []
        for edge, ((source, _, target), state) in enumerate(self.edges, 1):
            if state != PRESENT:
                continue
            if source == node and self.nodes[target - 1][1] == VISIBLE:
                out.append((edge, target))
            elif target == node and self.nodes[source - 1][1] == VISIBLE:
                back.append((edge, source))
        return out + back


def saved(index: GraphIndex) -> GraphIndex:
    """Return an index restored from the columns of another."""
    columns = {name: bytearray(data) for name, data in index.columns().items()}
    restored = GraphIndex()
    restored.restore(columns)
    for name in index.edge_types[1:]:
        restored.add_edge_type(name)
    return restored


def add_edge(index: GraphIndex, row: EdgeRow, state: int) -> int:
    source, name, target = row
    kind = index.edge_type_number(name)
    if kind is None:
        kind = index.add_edge_type(name)
    number = index.edges.add(source, target, kind)
    index.edges.states[number] = state
    return number


def undo(index: GraphIndex, nodes: int, edges: int) -> None:
    """Add some nodes, edges and a type, then forget them again."""
    counts = len(index.keys), len(index.edges), len(index.edge_types) - 1
    first = index.add_node(NodeKey("new 0"))
    for number in range(nodes):
        index.add_node(NodeKey(f"new {number + 1}"))
    for _ in range(edges):
        add_edge(index, (first, "new type", 1), PRESENT)
    index.truncate(*counts)


def check_nodes(index: GraphIndex, model: Model) -> None:
    assert len(index.keys) == len(model.nodes)
    for number, (key, state) in enumerate(model.nodes, 1):
        assert index.keys.number(key) == number
        assert index.keys.key(number) == key
        assert index.keys.numbers(key_hash(key)) == [number]
        assert index.states[number] == state
        assert index.is_visible(key) == (state == VISIBLE)
        assert index.landmarks[number] == float(number)
        links = model.links(number)
        assert sorted(index.links(number)) == sorted(links)
        others = [model.nodes[other - 1][0] for _, other in links if other != number]
        shown = index.neighbours(key)
        assert sorted(shown) == (sorted(set(others)) if state == VISIBLE else [])
    for absent in ("", "absent", "new 0", "\ud800"):
        assert index.keys.number(absent) == 0
        assert not index.is_visible(absent)
    assert index.keys.numbers(key_hash("absent")) == []


def check_edges(index: GraphIndex, model: Model) -> None:
    rows = [row for row, _ in model.edges]
    assert len(index.edges) == len(rows)
    for number, (source, name, target) in enumerate(rows, 1):
        assert index.find_edge(source, name, target) == number
        key, other = model.nodes[source - 1][0], model.nodes[target - 1][0]
        identity = edge_id(NodeKey(key), name, NodeKey(other))
        assert index.edge_number(identity) == number
    for node in range(len(model.nodes) + 2):
        assert index.edges.outgoing(node) == [
            number for number, row in enumerate(rows, 1) if row[0] == node
        ]
        assert index.edges.incoming(node) == [
            number for number, row in enumerate(rows, 1) if row[2] == node
        ]
        assert list(index.links(node, incoming=False)) == [
            (edge, other)
            for edge, other in model.links(node)
            if rows[edge - 1][0] == node
        ]
    assert index.find_edge(1, "absent", 1) == 0
    assert index.edge_number(edge_id(NodeKey("absent"), "x", KEYS[0])) == 0
    assert index.edge_number(edge_id(KEYS[0], "absent", KEYS[0])) == 0


@given(st.lists(actions, max_size=40))
def test_an_index_is_lists_and_dicts(
    history: list[tuple[str, object, int]],
) -> None:
    """However often it is folded, saved or cut back, the index answers like a model."""
    index, model = GraphIndex(), Model()
    for action, what, state in history:
        if action == "node" and isinstance(what, str) and not model.number(what):
            number = index.add_node(NodeKey(what))
            index.states[number], index.landmarks[number] = state, float(number)
            model.nodes.append((what, state))
        elif action == "edge" and isinstance(what, tuple) and model.nodes:
            count = len(model.nodes)
            row = (what[0] % count + 1, what[1], what[2] % count + 1)
            if row not in [known for known, _ in model.edges]:
                add_edge(index, row, state)
                model.edges.append((row, state))
        elif action == "fold":
            index.keys.fold(everything=True)
            index.edges.fold(everything=True)
        elif action == "save":
            index = saved(index)
        elif action == "undo" and isinstance(what, int):
            undo(index, what, state)
    check_nodes(index, model)
    check_edges(index, model)


def test_keys_with_one_hash_are_told_apart() -> None:
    """A hash only narrows: equality is decided on the key, folded or recent."""

    class Colliding(KeyTable):
        """A table in which a look-up by hash finds every key."""

        def numbers(self, wanted: int) -> list[int]:
            del wanted
            return list(range(1, len(self) + 1))

    index = GraphIndex()
    index.keys = Colliding()
    for key in ("a", "b", "c"):
        index.add_node(NodeKey(key))
    number = add_edge(index, (2, "x", 3), PRESENT)

    assert index.edge_number(edge_id(NodeKey("b"), "x", NodeKey("c"))) == number
    assert index.edge_number(edge_id(NodeKey("a"), "x", NodeKey("c"))) == 0


def test_many_are_folded_by_themselves() -> None:
    """Far more entries than wait unfolded are found, from either end."""
    table, edges = KeyTable(), Adjacency()
    for number in range(1, 40_001):
        assert table.add(NodeKey(f"{number}")) == number
        edges.add(number, 1 + number % 7, 0)
        if number % 1000 == 0:
            table.fold()
            edges.fold()

    for number in range(1, 40_001):
        assert table.number(f"{number}") == number
        assert edges.outgoing(number) == [number]
    assert len(edges.incoming(1)) == len(range(7, 40_001, 7))
    assert edges.find(40_000, 1 + 40_000 % 7, 0) == 40_000


def test_there_may_be_many_edge_types() -> None:
    """More types than 16 bits can number keep their edges apart."""
    index = GraphIndex()
    index.add_node(NodeKey("a"))
    for number in range(1, 70_001):
        add_edge(index, (1, f"type {number}", 1), PRESENT)

    assert index.edge_types[index.edges.types[70_000]] == "type 70000"
    assert saved(index).edges.types[70_000] == 70_000


def test_a_malformed_edge_id_is_not_found() -> None:
    """An id that is of the right form but names nothing has no number."""
    index = GraphIndex()
    index.add_node(NodeKey("a"))

    assert index.edge_number(EdgeId("A" * 24)) == 0


def test_energy_is_read_from_landmarks() -> None:
    """The energy of a node is its landmark, decayed to the moment it is asked for."""
    index = GraphIndex()
    number = index.add_node(NodeKey("a"))
    assert index.atp(number, energy.LANDMARK_MS) == 0

    index.landmarks[number] = energy.total(energy.LANDMARK_MS, ())

    assert index.atp(number, energy.LANDMARK_MS) == pytest.approx(1)
