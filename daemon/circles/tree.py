"""The person's own thoughts around a consensus node: a walk with fading resonance.

Rule: each node comes once, by the shortest way, so that a cycle of edges ends the walk.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crdt.ids import NodeKey

Step: TypeAlias = tuple[NodeKey, str]
"""A node that an edge leads to, and the edge's type."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a walk goes."""

    depth: int
    """Steps from where it begins."""
    decay: float
    """What is left of the resonance after each step, 0 to 1."""
    min_score: float
    """Resonance below which nothing is told."""
    limit: int
    """Nodes that are told at most."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A node that the walk came to."""

    key: NodeKey
    parent: NodeKey | None
    edge_type: str | None
    """Of the edge from the parent; both are None where the walk begins."""
    depth: int
    resonance: float


def walk(
    roots: Sequence[NodeKey],
    steps: Callable[[NodeKey], Iterable[Step]],
    reach: Reach,
) -> list[Branch]:
    """Return the nodes from `roots` on, nearest first."""
    found: list[Branch] = []
    met = set(roots)
    level = [Branch(key, None, None, 0, 1.0) for key in dict.fromkeys(roots)]
    while level and level[0].resonance >= reach.min_score:
        found += level[: reach.limit - len(found)]
        depth = level[0].depth + 1
        if depth > reach.depth or len(found) == reach.limit:
            break
        resonance = reach.decay**depth
        following: list[Branch] = []
        for each in level:
            for key, edge_type in steps(each.key):
                if key not in met and len(following) < reach.limit:
                    met.add(key)
                    following.append(Branch(key, each.key, edge_type, depth, resonance))
        level = following
    return found
