"""What it costs to find the few items that two devices of a circle do not share."""

import time
from collections.abc import Iterator
from random import Random
from typing import Final

from bench.report import Figure, spread
from crdt.circle_items import ItemKind
from transport.circle_frames import Compare, Range, encode
from transport.reconciliation import answer, opening
from transport.sorted_names import SortedNames

LARGEST: Final = 1_000_000
APART: Final = 100
_EPOCHS: Final = 100
_RUNS: Final = 10


def measure_circle_sets(count: int, seed: int) -> Iterator[Figure]:
    """Yield the figures of two sets of `count` names that differ in 100."""
    if count > LARGEST:
        return
    dice = Random(seed)
    every = [
        dice.randrange(_EPOCHS).to_bytes(4) + dice.randbytes(32)
        for _ in range(count + APART // 2)
    ]
    builds: list[float] = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        one = SortedNames(every[: -APART // 2])
        builds.append((time.perf_counter() - started) * 1000)
    yield spread("names of a circle in order", count, "ms", builds)
    other = SortedNames(every[APART // 2 :])
    compared: list[float] = []
    frames: list[int] = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        frames = _compare(one, other)
        compared.append((time.perf_counter() - started) * 1000)
    yield spread("100 differences found", count, "ms", compared)
    yield Figure("100 differences found", count, "KB", sum(frames) / 1000)
    yield Figure("100 differences found", count, "round trips", len(frames) / 2)


def _compare(one: SortedNames, other: SortedNames) -> list[int]:
    """Return the sizes of the frames by which two sets are compared."""
    ranges: list[Range] = opening(one)
    sizes = [len(encode(Compare(ItemKind.CONTRIBUTION, 1, tuple(ranges))))]
    sides = [other, one]
    while ranges:
        ranges = answer(sides[0], ranges).ranges
        sizes.append(len(encode(Compare(ItemKind.CONTRIBUTION, 1, tuple(ranges)))))
        sides.reverse()
    return sizes
