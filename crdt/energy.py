"""Energy that decays, merges exactly and never needs a common clock.

Rule: an accumulator belongs to one (node, device) and only that device adds to it.

A pulse of x at time t adds x * 2 ** ((t - T0) / H) to the accumulator; accumulators
merge by maximum (each only grows, so loss, repetition and reordering do no harm);
the ATP at time `now` is 2 ** (-(now - T0) / H) times the sum over devices. Kept is the
base 2 logarithm, the *landmark*, so that no half-life and no lifetime overflows.
Every node starts with one ATP at its creation; that pulse follows from the creation
time and is not stored. Specification: docs/protocol/shard.md, "Energy".
"""

import math
from collections.abc import Iterable
from typing import Final

LANDMARK_MS: Final = 1_767_225_600_000
"""T0: 2026-01-01T00:00:00Z in Unix milliseconds; the same for every graph."""
HALF_LIFE_MS: Final = 7 * 24 * 3600 * 1000
"""H: one week."""
INITIAL_ATP: Final = 1.0
MAX_PULSE: Final = 1e6
MAX_LANDMARK: Final = 1_000_000
"""Larger ones are refused from peers: no clock that people meet makes them."""
EMPTY: Final = -math.inf
"""The landmark of no energy at all."""
SATURATION_ATP: Final = 20.0


def pulsed(landmark: float, energy: float, now_ms: int) -> float:
    """Return the landmark after a pulse of `energy` ATP (not negative) at `now_ms`."""
    if energy <= 0:
        return landmark
    return _log2_sum((landmark, math.log2(energy) + _age(now_ms)))


def total(created_ms: int, landmarks: Iterable[float]) -> float:
    """Return the landmark of a node: its creation and all devices' accumulators."""
    created = math.log2(INITIAL_ATP) + _age(created_ms)
    spent = tuple(landmarks)
    return _log2_sum((created, *spent)) if spent else created


def atp(landmark: float, now_ms: int) -> float:
    """Return the ATP at `now_ms` of a landmark made by `total`."""
    return float(2.0 ** min(landmark - _age(now_ms), 1000.0))


def attention(energy: float) -> float:
    """Return how much of a person's attention `energy` ATP stands for, 0 to 1.

    It saturates: half at 20 ATP, so that a burst cannot drown everything else.
    """
    return energy / (energy + SATURATION_ATP)


def _age(time_ms: int) -> float:
    return (time_ms - LANDMARK_MS) / HALF_LIFE_MS


def _log2_sum(landmarks: Iterable[float]) -> float:
    ordered = sorted(landmarks)
    greatest = ordered[-1]
    if greatest == EMPTY:
        return EMPTY
    return greatest + math.log2(math.fsum(2.0 ** (x - greatest) for x in ordered))
