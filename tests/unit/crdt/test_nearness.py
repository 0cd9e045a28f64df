"""The most energetic nodes near a node, against a plain statement of the rule."""

import math
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.adjacency import PRESENT
from crdt.energy import LANDMARK_MS
from crdt.graph_index import VISIBLE, GraphIndex
from crdt.ids import NodeKey
from crdt.nearness import DECAY, WEIGHT_RANGE, Near, Walk, energetic

NODES = 8
Link: TypeAlias = tuple[int, int, float]
links = st.lists(
    st.tuples(
        st.integers(1, NODES),
        st.integers(1, NODES),
        st.sampled_from((1.0, 0.5, 0.0, -3.0, 1e9, 3.0)),
    ),
    max_size=14,
)
energies = st.lists(
    st.sampled_from((0.01, 1.0, 2.0, 30.0)), min_size=NODES, max_size=NODES
)


def graph(energy: list[float], edges: list[Link]) -> GraphIndex:
    index = GraphIndex()
    for number, atp in enumerate(energy, 1):
        index.add_node(NodeKey(f"n{number}"))
        index.states[number] = VISIBLE
        index.landmarks[number] = math.log2(atp)
    kind = index.add_edge_type("child")
    for source, target, _ in edges:
        index.edges.states[index.edges.add(source, target, kind)] = PRESENT
    index.fold()
    return index


def ask(
    index: GraphIndex, edges: list[Link], walk: Walk, **limits: int
) -> tuple[list[Near], bool]:
    return energetic(
        index,
        1,
        walk,
        weight=lambda edge: edges[edge - 1][2],
        may_show=lambda node: node != NODES,
        now_ms=LANDMARK_MS,
        **{"limit": 100, **limits},
    )


def plain(energy: list[float], edges: list[Link], depth: int) -> dict[int, float]:
    """Return scores by growing all ways step by step, in both directions."""
    ways, scores, seen = {1: 1.0}, dict[int, float](), {1}
    for distance in range(1, depth + 1):
        further: dict[int, float] = {}
        for source, target, weight in edges:
            for here, there in ((source, target), (target, source)):
                if here in ways and there not in seen and there != NODES:
                    strong = min(max(weight, WEIGHT_RANGE[0]), WEIGHT_RANGE[1])
                    strength = ways[here] * strong * (DECAY if distance > 1 else 1)
                    further[there] = max(further.get(there, 0.0), strength)
        scores |= {node: each * energy[node - 1] for node, each in further.items()}
        seen |= further.keys()
        ways = further
    return scores


@given(energies, links, st.integers(1, 4))
def test_it_is_energy_times_strength(
    energy: list[float], edges: list[Link], depth: int
) -> None:
    """Every node in reach has its score, the greatest first; a hidden one has none."""
    found, is_complete = ask(graph(energy, edges), edges, Walk(depth))

    assert is_complete
    assert {near.node: near.score for near in found} == pytest.approx(
        plain(energy, edges, depth)
    )
    assert [near.score for near in found] == sorted(
        (near.score for near in found), reverse=True
    )


def test_a_bound_is_told() -> None:
    """A node with more links than may be looked at says that there are more."""
    edges = [(1, 2 + n % 5, 1.0) for n in range(30)]
    index = graph([1.0] * NODES, edges)

    found, is_complete = ask(index, edges, Walk(2), max_links=3)
    assert not is_complete
    assert 1 <= len(found) <= 3
    assert len(ask(index, edges, Walk(2), limit=2)[0]) == 2
    assert ask(index, edges, Walk(2, "in"))[0] == []
    assert ask(index, edges, Walk(2, "out", "absent"))[0] == []
