"""Regions of meaning: vectors in groups, each known by its most central ones.

Spherical k-means. Its dice are always the same and vectors come in the order of their
nodes, so equal vectors give equal regions on every run. The middles are found from an
even sample of the vectors; then each vector belongs to the middle nearest to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from crdt.closeness import Vectors

MOST_REGIONS: Final = 24
CENTRAL: Final = 3
"""Nodes by which a region is known."""
_SAMPLE: Final = 4_000
_TRIES: Final = 4
_DRAWN: Final = 12
_ROUNDS: Final = 30
_NODES_A_REGION: Final = 8
"""A graph of n nodes has about the root of n / this regions, at least two."""
Units: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """Nodes that mean something similar."""

    nodes: Sequence[int]
    """The nearest to the middle first."""

    @property
    def central(self) -> Sequence[int]:
        """The nodes by which the region is known."""
        return self.nodes[:CENTRAL]


def regions(numbers: Sequence[int], vectors: Vectors) -> list[Region]:
    """Return the regions of nodes with these vectors, the largest first."""
    if not len(numbers):
        return []
    units = _units(vectors)
    step = -(-len(units) // _SAMPLE)
    sample = units[::step]
    count = max(2, round((len(units) / _NODES_A_REGION) ** 0.5))
    middles = _middles(sample, min(count, MOST_REGIONS, len(sample)))
    near = units @ middles.T
    belongs = near.argmax(axis=1)
    found: list[Region] = []
    for region in range(len(middles)):
        members = np.flatnonzero(belongs == region)
        order = members[np.argsort(-near[members, region], kind="stable")]
        if len(order):
            found.append(Region([numbers[at] for at in order.tolist()]))
    return sorted(found, key=lambda each: (-len(each.nodes), each.nodes[0]))


def _units(vectors: Vectors) -> Units:
    floats = vectors.astype(np.float32)
    lengths = np.linalg.norm(floats, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    units: Units = (floats / lengths).astype(np.float32)
    return units


def _middles(units: Units, count: int) -> Units:
    """Return the best of some attempts to find so many middles."""
    dice = np.random.default_rng(0)
    best, least = units[:count], np.inf
    for _ in range(_TRIES):
        middles = _first_middles(units, count, dice)
        loss = np.inf
        for _ in range(_ROUNDS):
            near = units @ middles.T
            belongs = near.argmax(axis=1)
            sums = np.zeros_like(middles)
            np.add.at(sums, belongs, units)
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            middles = np.where(
                lengths > 0, sums / np.maximum(lengths, np.float32(1e-9)), middles
            ).astype(np.float32)
            before, loss = loss, float((1 - near.max(axis=1)).sum())
            if loss > before - 1e-4 * len(units):
                break
        if loss < least:
            best, least = middles, loss
    return best


def _first_middles(units: Units, count: int, dice: np.random.Generator) -> Units:
    """Return vectors far from each other (Arthur, Vassilvitskii, "k-means++", 2007).

    Of some that are drawn for each place the one is taken that leaves least apart.
    """
    chosen = [int(dice.integers(len(units)))]
    apart = np.maximum(1 - units @ units[chosen[0]], 0)
    while len(chosen) < count:
        weights = np.cumsum(apart, dtype=np.float64)
        places = np.searchsorted(weights, dice.random(_DRAWN) * weights[-1])
        drawn = np.minimum(places, len(units) - 1)
        left = np.minimum(apart[:, None], np.maximum(1 - units @ units[drawn].T, 0))
        best = int(left.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        apart = left[:, best]
    return units[chosen]
