"""Walks over the living graph: who is near, and the way from one node to another.

Both work on the index alone. Rule: every walk is bounded, and says so when its bound
ends it; a graph may link anything with everything.
"""

import heapq
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from crdt.errors import SearchBudgetError
from crdt.graph_index import GraphIndex

Direction: TypeAlias = Literal["out", "in", "both"]

ATP_RANGE: Final = (0.05, 20.0)
"""Energies are held within this range when a step is priced."""
MAX_EXPANSIONS: Final = 20_000
"""Nodes that a path search may look at before it gives up."""
_NOWHERE: Final = 0


def nearby(
    index: GraphIndex,
    start: int,
    *,
    depth: int,
    direction: Direction = "both",
    edge_type: str | None = None,
    may_show: Callable[[int], bool] | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield (node number, distance) of nodes within `depth` steps, nearest first.

    The start itself is left out. With `edge_type` only edges of that type are walked,
    with `may_show` only over nodes for which it is true.
    """
    wanted = None if edge_type is None else index.edge_type_number(edge_type)
    if edge_type is not None and wanted is None:
        return
    seen = {start}
    frontier = [start]
    types = index.edges.types
    for distance in range(1, depth + 1):
        following: list[int] = []
        for node in frontier:
            for edge, other in index.links(
                node, outgoing=direction != "in", incoming=direction != "out"
            ):
                if other in seen or (wanted is not None and types[edge] != wanted):
                    continue
                seen.add(other)
                if may_show is not None and not may_show(other):
                    continue
                following.append(other)
                yield other, distance
        frontier = following


def cheapest_path(
    index: GraphIndex,
    start: int,
    goal: int,
    now_ms: int,
    *,
    max_cost: float | None = None,
    max_expansions: int = MAX_EXPANSIONS,
    may_show: Callable[[int], bool] | None = None,
) -> tuple[list[int], float] | None:
    """Return (node numbers from start to goal, cost), or None if there is no way.

    Edges are walked both ways; a step from a to b costs 1 / (ATP(a) * ATP(b)). The
    search is A* from both ends at once with balanced potentials (Ikeda et al., "A fast
    algorithm for finding better routes by AI search techniques", 1994). With `may_show`
    the way goes over nodes alone for which it is true. Raises `SearchBudgetError` when
    `max_expansions` nodes were not enough.
    """
    if may_show is not None and not (may_show(start) and may_show(goal)):
        return None
    if start == goal:
        return [start], 0.0
    search = _Search(index, start, goal, now_ms, may_show)
    meeting = search.run(float("inf") if max_cost is None else max_cost, max_expansions)
    if meeting == _NOWHERE:
        return None
    path = search.path(meeting)
    cost = sum(search.step(a, b) for a, b in pairwise(path))
    return None if max_cost is not None and cost > max_cost else (path, cost)


class _Search:
    """Two A* searches that grow towards each other.

    Side 0 starts at the start, side 1 at the goal. The potential of side 0 is
    (h1 - h0) / 2 and that of side 1 its negative, where h0 and h1 bound the cost to the
    start and to the goal from below; so both sides price every step alike, and the
    best meeting is known when the two queues together promise nothing better.
    """

    def __init__(
        self,
        index: GraphIndex,
        start: int,
        goal: int,
        now_ms: int,
        may_show: Callable[[int], bool] | None,
    ) -> None:
        self._index = index
        self._may_show = may_show
        self._now_ms = now_ms
        self._energy: dict[int, float] = {}
        self._ends = (start, goal)
        self._least = tuple(self._least_step(end) for end in self._ends)
        self._cost: tuple[dict[int, float], dict[int, float]] = (
            {start: 0.0},
            {goal: 0.0},
        )
        self._parent: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._queues: tuple[list[tuple[float, int]], list[tuple[float, int]]] = (
            [(self._potential(0, start), start)],
            [(self._potential(1, goal), goal)],
        )
        self._done: tuple[set[int], set[int]] = (set(), set())

    def run(self, max_cost: float, max_expansions: int) -> int:
        """Return the node where the cheapest path's two halves meet, or 0."""
        best, meeting = max_cost, _NOWHERE
        expansions = 0
        while self._queues[0] and self._queues[1]:
            promise = self._queues[0][0][0] + self._queues[1][0][0]
            if promise > best or (meeting != _NOWHERE and promise >= best):
                break
            side = 0 if len(self._queues[0]) <= len(self._queues[1]) else 1
            _, node = heapq.heappop(self._queues[side])
            if node in self._done[side]:
                continue
            self._done[side].add(node)
            expansions += 1
            if expansions > max_expansions:
                message = (
                    f"The search was stopped after {max_expansions} nodes without an"
                    " answer. Try a lower max_cost, or nodes that are nearer."
                )
                raise SearchBudgetError(message)
            for touched in self._expand(side, node):
                other_cost = self._cost[1 - side].get(touched)
                if other_cost is None:
                    continue
                total = self._cost[side][touched] + other_cost
                if total < best or (meeting == _NOWHERE and total <= best):
                    best, meeting = total, touched
        return meeting

    def path(self, meeting: int) -> list[int]:
        """Return the nodes from the start through `meeting` to the goal."""
        halves: list[list[int]] = []
        for parents in self._parent:
            half = [meeting]
            while half[-1] in parents:
                half.append(parents[half[-1]])
            halves.append(half)
        return halves[0][::-1] + halves[1][1:]

    def step(self, left: int, right: int) -> float:
        """Return the cost of a step between two linked nodes."""
        return 1.0 / (self._atp(left) * self._atp(right))

    def _expand(self, side: int, node: int) -> Iterator[int]:
        costs, parents, queue = (
            self._cost[side],
            self._parent[side],
            self._queues[side],
        )
        base, energy = costs[node], self._atp(node)
        for _, other in self._index.links(node):
            cost = base + 1.0 / (energy * self._atp(other))
            if cost < costs.get(other, float("inf")) and (
                self._may_show is None or self._may_show(other)
            ):
                costs[other] = cost
                parents[other] = node
                heapq.heappush(queue, (cost + self._potential(side, other), other))
                yield other

    def _potential(self, side: int, node: int) -> float:
        start, goal = self._ends
        to_start = 0.0 if node == start else self._least[0]
        to_goal = 0.0 if node == goal else self._least[1]
        potential = (to_goal - to_start) / 2
        return potential if side == 0 else -potential

    def _least_step(self, node: int) -> float:
        """Return the cheapest step at a node: no path can end there for less."""
        costs = (self.step(node, other) for _, other in self._index.links(node))
        return min(costs, default=0.0)

    def _atp(self, node: int) -> float:
        atp = self._energy.get(node)
        if atp is None:
            low, high = ATP_RANGE
            atp = min(max(self._index.atp(node, self._now_ms), low), high)
            self._energy[node] = atp
        return atp
