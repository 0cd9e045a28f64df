"""Vectors in regions: planted ones are found, and runs agree."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.closeness import DIMENSION, Vectors, quantise
from crdt.regions import MOST_REGIONS, Region, regions


def planted(groups: int, each: int, seed: int) -> Vectors:
    """Return vectors, those of one group next to each other and near in meaning."""
    dice = np.random.default_rng(seed)
    middles = np.repeat(dice.standard_normal((groups, DIMENSION)), each, axis=0)
    noise = dice.standard_normal((groups * each, DIMENSION))
    return quantise((middles + 0.6 * noise).astype(np.float32))


@given(st.integers(0, 300), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_every_node_is_in_one_region(count: int, seed: int) -> None:
    """Regions have each node once, are not empty, and are few."""
    dice = np.random.default_rng(seed)
    vectors = quantise(dice.standard_normal((count, DIMENSION)).astype(np.float32))
    found = regions(range(1, count + 1), vectors)

    nodes = sorted(node for region in found for node in region.nodes)
    assert nodes == list(range(1, count + 1))
    assert all(region.nodes for region in found)
    assert len(found) <= MOST_REGIONS


def test_planted_regions_are_found() -> None:
    """Nodes of one region are of one group."""
    vectors = planted(6, 48, 1)

    found = regions(range(len(vectors)), vectors)

    pure = sum(
        max(np.bincount([node // 48 for node in region.nodes])) for region in found
    )
    assert pure == len(vectors)


def test_runs_agree() -> None:
    """Equal vectors give equal regions."""
    vectors = planted(12, 30, 2)

    assert regions(range(360), vectors) == regions(range(360), vectors)


def test_a_small_change_changes_little() -> None:
    """With one node in a hundred gone, nodes that were together mostly still are."""
    vectors = planted(9, 66, 3)
    numbers = [number for number in range(594) if number % 100]

    before = _together(regions(range(594), vectors), numbers)
    after = _together(regions(numbers, vectors[numbers]), numbers)

    assert (before == after).mean() > 0.97


def test_the_central_nodes_are_nearest_to_the_middle() -> None:
    """A region is known by nodes that are nearer to its members than others are."""
    vectors = planted(2, 40, 4).astype(np.float32)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    for region in regions(range(80), planted(2, 40, 4)):
        members = list(region.nodes)
        near = (units[members] @ units[members].T).mean(axis=1)
        assert near[:3].mean() > near.mean()


def test_alike_and_empty_vectors_have_regions() -> None:
    """Vectors that are all the same, or all zeros, do no harm."""
    zeros = np.zeros((5, DIMENSION), np.int8)

    assert sum(len(region.nodes) for region in regions(range(5), zeros)) == 5
    assert sum(len(region.nodes) for region in regions(range(5), zeros + 1)) == 5
    assert [region.nodes for region in regions([7], zeros[:1])] == [[7]]


def _together(found: list[Region], numbers: list[int]) -> npt.NDArray[np.bool_]:
    """Return for each pair of nodes whether they are in one region."""
    place = {node: at for at, region in enumerate(found) for node in region.nodes}
    held = np.array([place[number] for number in numbers])
    together: npt.NDArray[np.bool_] = held[:, None] == held[None, :]
    return together
