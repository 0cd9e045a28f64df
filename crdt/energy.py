"""Energy that decays, merges exactly and never needs a common clock.

Rule: an accumulator belongs to one (node, device, half-life) and only that device adds
to it. A pulse decays by the half-life that it was given under, for ever; so devices may
have different ones and still add up to the same.

A pulse of x at time t adds x * 2 ** ((t - T0) / H) to the accumulator; accumulators
merge by maximum (each only grows, so loss, repetition and reordering do no harm);
the ATP at time `now` is 2 ** (-(now - T0) / H) times the sum over devices. Kept is the
base 2 logarithm, the *landmark*, so that no half-life and no lifetime overflows.
Every node starts with one ATP at its creation; that pulse follows from the creation
time and is not stored. Specification: docs/protocol/shard.md, "Energy".
"""

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

LANDMARK_MS: Final = 1_767_225_600_000
"""T0: 2026-01-01T00:00:00Z in Unix milliseconds; the same for every graph."""
HALF_LIFE: Final = 168
"""H, in hours, unless a network has another: one week."""
MAX_HALF_LIFE: Final = 87_600
"""Ten years, in hours."""
HOUR_MS: Final = 3600 * 1000
HALF_LIFE_MS: Final = HALF_LIFE * HOUR_MS
INITIAL_ATP: Final = 1.0
MAX_PULSE: Final = 1e6
MAX_LANDMARK: Final = 1_000_000
"""Larger ones are refused from peers: no clock that people meet makes them."""
EMPTY: Final = -math.inf
"""The landmark of no energy at all."""
SATURATION_ATP: Final = 20.0
Others: TypeAlias = tuple[tuple[int, float], ...]
"""(half-life, landmark) of the half-lives that are not `HALF_LIFE`, in order."""
Landmarks: TypeAlias = tuple[float, Others]
"""The energy of a node: the landmark under `HALF_LIFE`, and the others."""
NOTHING: Final[Landmarks] = (EMPTY, ())


def pulsed(
    landmark: float, energy: float, now_ms: int, half_life: int = HALF_LIFE
) -> float:
    """Return the landmark after a pulse of `energy` ATP (not negative) at `now_ms`."""
    if energy <= 0:
        return landmark
    return _log2_sum((landmark, math.log2(energy) + _age(now_ms, half_life)))


def total(
    created_ms: int, landmarks: Iterable[float], half_life: int = HALF_LIFE
) -> float:
    """Return the landmark of a node: its creation and all devices' accumulators."""
    created = math.log2(INITIAL_ATP) + _age(created_ms, half_life)
    spent = tuple(landmarks)
    return _log2_sum((created, *spent)) if spent else created


def totals(
    created_ms: int, half_life: int, spent: Iterable[tuple[int, float]]
) -> Landmarks:
    """Return the energy of a node in a network with this half-life.

    `spent` are (half-life, landmark) of its accumulators.
    """
    by_half_life: dict[int, list[float]] = {half_life: []}
    for hours, landmark in spent:
        by_half_life.setdefault(hours, []).append(landmark)
    sums = {
        hours: total(created_ms, found, hours)
        if hours == half_life
        else _log2_sum(found)
        for hours, found in by_half_life.items()
    }
    return sums.pop(HALF_LIFE, EMPTY), tuple(sorted(sums.items()))


def atp(landmark: float, now_ms: int, half_life: int = HALF_LIFE) -> float:
    """Return the ATP at `now_ms` of a landmark made by `total`."""
    return float(2.0 ** min(landmark - _age(now_ms, half_life), 1000.0))


def atp_of(landmarks: Landmarks, now_ms: int) -> float:
    """Return the ATP at `now_ms` of what `totals` made."""
    landmark, others = landmarks
    return atp(landmark, now_ms) + sum(
        atp(other, now_ms, hours) for hours, other in others
    )


def attention(energy: float) -> float:
    """Return how much of a person's attention `energy` ATP stands for, 0 to 1.

    It saturates: half at 20 ATP, so that a burst cannot drown everything else.
    """
    # Not energy / (energy + ...): rounding would let attention fall where energy grows.
    return 1 - SATURATION_ATP / (energy + SATURATION_ATP)


def _age(time_ms: int, half_life: int) -> float:
    return (time_ms - LANDMARK_MS) / (half_life * HOUR_MS)


def _log2_sum(landmarks: Iterable[float]) -> float:
    ordered = sorted(landmarks)
    greatest = ordered[-1]
    if greatest == EMPTY:
        return EMPTY
    return greatest + math.log2(math.fsum(2.0 ** (x - greatest) for x in ordered))
