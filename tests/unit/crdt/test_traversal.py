"""Walks over the graph against the plainest algorithms that do the same."""

import heapq
import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt import energy
from crdt.adjacency import PRESENT, REMOVED
from crdt.errors import SearchBudgetError
from crdt.graph_index import TRASHED, VISIBLE, GraphIndex
from crdt.ids import NodeKey
from crdt.traversal import ATP_RANGE, Direction, cheapest_path, nearby

NOW_MS = energy.LANDMARK_MS
TYPES = ("child", "other")
MOST = 8

edges = st.lists(
    st.tuples(
        st.integers(1, MOST),
        st.sampled_from(TYPES),
        st.integers(1, MOST),
        st.sampled_from((PRESENT, PRESENT, PRESENT, REMOVED)),
    ),
    min_size=MOST,
    max_size=24,
    unique_by=lambda edge: edge[:3],
)
energies = st.lists(
    st.sampled_from((0.0, 0.05, 0.3, 1.0, 4.0, 20.0)) | st.floats(0.001, 100),
    min_size=MOST,
    max_size=MOST,
)
states = st.lists(
    st.sampled_from((VISIBLE, VISIBLE, VISIBLE, TRASHED)), min_size=MOST, max_size=MOST
)
ends = st.integers(1, MOST)


@dataclass(frozen=True)
class Graph:
    """An index, and the links of each node as (other end, type, leads out)."""

    index: GraphIndex
    links: dict[int, list[tuple[int, str, bool]]]
    energies: list[float]

    def step(self, left: int, right: int) -> float:
        low, high = ATP_RANGE
        clamped = [
            min(max(self.energies[node - 1], low), high) for node in (left, right)
        ]
        return 1 / (clamped[0] * clamped[1])

    def dijkstra(self, start: int) -> dict[int, float]:
        """Return the cost of the cheapest way to each node that can be reached."""
        costs: dict[int, float] = {}
        queue = [(0.0, start)]
        while queue:
            cost, node = heapq.heappop(queue)
            if node in costs:
                continue
            costs[node] = cost
            for other, _, _ in self.links[node]:
                heapq.heappush(queue, (cost + self.step(node, other), other))
        return costs


def build(
    rows: list[tuple[int, str, int, int]], atps: list[float], shown: list[int]
) -> Graph:
    index = GraphIndex()
    links: dict[int, list[tuple[int, str, bool]]] = {n: [] for n in range(1, MOST + 1)}
    for name in TYPES:
        index.add_edge_type(name)
    for number, (atp, state) in enumerate(zip(atps, shown, strict=True), 1):
        index.add_node(NodeKey(f"{number}"))
        index.states[number] = state
        index.landmarks[number] = math.log2(atp) if atp else energy.EMPTY
    for source, name, target, state in rows:
        edge = index.edges.add(source, target, index.edge_type_number(name) or 0)
        index.edges.states[edge] = state
        if state == PRESENT:
            if shown[target - 1] == VISIBLE:
                links[source].append((target, name, True))
            if shown[source - 1] == VISIBLE:
                links[target].append((source, name, False))
    return Graph(index, links, atps)


@settings(max_examples=settings().max_examples * 4)
@given(edges, energies, states, ends, ends)
def test_paths_are_the_cheapest(
    rows: list[tuple[int, str, int, int]],
    atps: list[float],
    shown: list[int],
    start: int,
    goal: int,
) -> None:
    """A path is found if there is one, can be walked, and none is cheaper."""
    shown[start - 1] = shown[goal - 1] = VISIBLE
    graph = build(rows, atps, shown)

    found = cheapest_path(graph.index, start, goal, NOW_MS)

    costs = graph.dijkstra(start)
    if found is None:
        assert goal not in costs
        return
    path, cost = found
    assert (path[0], path[-1]) == (start, goal)
    assert cost == pytest.approx(costs[goal], rel=1e-9)
    walked = 0.0
    for left, right in pairwise(path):
        assert right in [other for other, _, _ in graph.links[left]]
        walked += graph.step(left, right)
    assert walked == pytest.approx(cost, rel=1e-9)


@given(edges, energies, states, st.tuples(ends, ends), st.integers(1, 3))
def test_a_way_within_is_one_without_the_others(
    rows: list[tuple[int, str, int, int]],
    atps: list[float],
    member: list[int],
    of: tuple[int, int],
    depth: int,
) -> None:
    """Paths and walks that keep to some nodes are those of a graph with these alone."""
    start, goal = of
    everything = build(rows, atps, [VISIBLE] * MOST).index
    member[start - 1] = VISIBLE
    alone = build(rows, atps, member).index
    ends_are_in = member[goal - 1] == VISIBLE

    def may_show(node: int) -> bool:
        return member[node - 1] == VISIBLE

    found = cheapest_path(everything, start, goal, NOW_MS, may_show=may_show)
    near = nearby(everything, start, depth=depth, may_show=may_show)

    expected = cheapest_path(alone, start, goal, NOW_MS) if ends_are_in else None
    assert (found and found[1]) == (expected and pytest.approx(expected[1], rel=1e-9))
    assert dict(near) == dict(nearby(alone, start, depth=depth))


@given(edges, energies, ends, ends, st.floats(0.5, 1.5))
def test_a_path_keeps_to_its_greatest_cost(
    rows: list[tuple[int, str, int, int]],
    atps: list[float],
    start: int,
    goal: int,
    share: float,
) -> None:
    """With a bound on the cost, the cheapest path is found if it is within."""
    graph = build(rows, atps, [VISIBLE] * MOST)
    unbound = cheapest_path(graph.index, start, goal, NOW_MS)
    if unbound is None:
        assert cheapest_path(graph.index, start, goal, NOW_MS, max_cost=1e9) is None
        return
    least = unbound[1]

    found = cheapest_path(graph.index, start, goal, NOW_MS, max_cost=least * share)

    if share > 1 + 1e-9 or least == 0:
        assert found is not None
        assert found[1] == pytest.approx(least, rel=1e-9)
    elif share < 1 - 1e-9:
        assert found is None


@given(edges, energies, ends, ends, st.integers(0, 2 * MOST))
def test_a_search_ends_at_its_budget(
    rows: list[tuple[int, str, int, int]],
    atps: list[float],
    start: int,
    goal: int,
    budget: int,
) -> None:
    """A search either gives the right answer or says that its budget was too small."""
    graph = build(rows, atps, [VISIBLE] * MOST)
    unbound = cheapest_path(graph.index, start, goal, NOW_MS)
    try:
        found = cheapest_path(graph.index, start, goal, NOW_MS, max_expansions=budget)
    except SearchBudgetError:
        assert budget < 2 * MOST
        return
    assert (found is None) == (unbound is None)
    if found is not None and unbound is not None:
        assert found[1] == pytest.approx(unbound[1], rel=1e-9)


def test_a_long_way_is_not_searched_without_end() -> None:
    """A chain longer than the budget is given up, not walked."""
    index = GraphIndex()
    index.add_edge_type("child")
    for number in range(1, 1001):
        index.add_node(NodeKey(f"{number}"))
        index.states[number] = VISIBLE
        if number > 1:
            index.edges.states[index.edges.add(number - 1, number, 1)] = PRESENT

    with pytest.raises(SearchBudgetError):
        cheapest_path(index, 1, 1000, NOW_MS, max_expansions=500)
    found = cheapest_path(index, 1, 1000, NOW_MS, max_expansions=1000)
    assert found is not None
    assert found[0] == list(range(1, 1001))


@given(
    edges,
    states,
    ends,
    st.integers(0, 5),
    st.tuples(
        st.sampled_from(("out", "in", "both")),
        st.sampled_from((None, *TYPES, "absent")),
    ),
)
def test_nearby_is_breadth_first(
    rows: list[tuple[int, str, int, int]],
    shown: list[int],
    start: int,
    depth: int,
    way: tuple[Direction, str | None],
) -> None:
    """Every node within the depth comes once, with its distance, nearest first."""
    graph = build(rows, [1.0] * MOST, shown)
    direction, edge_type = way
    distances = {start: 0}
    frontier = {start}
    for distance in range(1, depth + 1):
        frontier = {
            other
            for node in frontier
            for other, name, is_out in graph.links[node]
            if edge_type in (None, name)
            and direction in ("both", "out" if is_out else "in")
        } - distances.keys()
        distances |= dict.fromkeys(frontier, distance)

    found = list(
        nearby(
            graph.index, start, depth=depth, direction=direction, edge_type=edge_type
        )
    )

    assert dict(found) == {n: d for n, d in distances.items() if n != start}
    assert len(found) == len(dict(found))
    assert [d for _, d in found] == sorted(d for _, d in found)
