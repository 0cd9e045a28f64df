"""The most energetic nodes near a node.

A node counts with its ATP times how strongly it is linked: the weight of the link for
a neighbour; for one farther off the product of the weights on the strongest of the
shortest ways, halved for every step after the first. Weights count within
`WEIGHT_RANGE`. Rule: the walk is bounded, and tells when its bound ended it.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from crdt.graph_index import GraphIndex
from crdt.traversal import Direction

MAX_LINKS: Final = 50_000
"""Links that a question may look at."""
DECAY: Final = 0.5
WEIGHT_RANGE: Final = (0.0, 20.0)


@dataclass(frozen=True, slots=True)
class Near:
    """A node near another, and how much it counts there."""

    node: int
    distance: int
    score: float
    """Its ATP times the strength of its link."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where to look."""

    depth: int = 1
    direction: Direction = "both"
    edge_type: str | None = None


def energetic(
    index: GraphIndex,
    start: int,
    walk: Walk,
    *,
    weight: Callable[[int], float],
    may_show: Callable[[int], bool],
    now_ms: int,
    limit: int,
    max_links: int = MAX_LINKS,
) -> tuple[list[Near], bool]:
    """Return the nodes that count most, and whether all in reach were looked at.

    `weight` is that of an edge, by number; nodes that may not show are passed through
    by no way.
    """
    found, is_complete = _strengths(
        index, start, walk, weight, may_show, max_links=max_links
    )
    every = (
        Near(node, distance, strength * index.atp(node, now_ms))
        for node, (distance, strength) in found.items()
    )
    best = heapq.nsmallest(
        limit, every, key=lambda near: (-near.score, near.distance, near.node)
    )
    return best, is_complete


def _strengths(
    index: GraphIndex,
    start: int,
    walk: Walk,
    weight: Callable[[int], float],
    may_show: Callable[[int], bool],
    *,
    max_links: int,
) -> tuple[dict[int, tuple[int, float]], bool]:
    """Return (distance, strength) of the nodes in reach."""
    low, high = WEIGHT_RANGE
    found: dict[int, tuple[int, float]] = {}
    frontier, looked = {start: 1.0}, 0
    for distance in range(1, walk.depth + 1):
        following: dict[int, float] = {}
        for node, strength in frontier.items():
            for edge, other in _links(index, node, walk):
                looked += 1
                if looked > max_links:
                    found |= {n: (distance, s) for n, s in following.items()}
                    return found, False
                if other == start or other in found:
                    continue
                if other not in following and not may_show(other):
                    continue
                there = strength * min(max(weight(edge), low), high)
                there *= DECAY if distance > 1 else 1.0
                following[other] = max(there, following.get(other, 0.0))
        found |= {node: (distance, each) for node, each in following.items()}
        frontier = following
    return found, True


def _links(index: GraphIndex, node: int, walk: Walk) -> Iterator[tuple[int, int]]:
    wanted = None
    if walk.edge_type is not None:
        wanted = index.edge_type_number(walk.edge_type)
        if wanted is None:
            return
    types = index.edges.types
    outgoing, incoming = walk.direction != "in", walk.direction != "out"
    for edge, other in index.links(node, outgoing=outgoing, incoming=incoming):
        if wanted is None or types[edge] == wanted:
            yield edge, other
