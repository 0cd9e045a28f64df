"""Energy: sums that decay, merge exactly and never overflow."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.energy import (
    EMPTY,
    HALF_LIFE,
    HALF_LIFE_MS,
    HOUR_MS,
    LANDMARK_MS,
    MAX_HALF_LIFE,
    MAX_LANDMARK,
    MAX_PULSE,
    SATURATION_ATP,
    atp,
    atp_of,
    attention,
    pulsed,
    total,
    totals,
)

YEAR_MS = 365 * 24 * 3600 * 1000
times = st.integers(LANDMARK_MS, LANDMARK_MS + YEAR_MS)
pulses = st.tuples(
    st.integers(0, 2), times, st.floats(0, MAX_PULSE, allow_subnormal=False)
)


def decayed(energy: float, then_ms: int, now_ms: int) -> float:
    return energy * 2 ** ((then_ms - now_ms) / HALF_LIFE_MS)


def accumulated(history: list[tuple[int, int, float]]) -> list[float]:
    landmarks = [EMPTY] * 3
    for device, now_ms, energy in history:
        landmarks[device] = pulsed(landmarks[device], energy, now_ms)
    return landmarks


@given(times, st.lists(pulses, max_size=20))
def test_energy_is_the_sum_of_all_that_decayed(
    created_ms: int, history: list[tuple[int, int, float]]
) -> None:
    """ATP is one from creation and each pulse, halved for every week that passed."""
    now_ms = LANDMARK_MS + YEAR_MS
    exact = decayed(1.0, created_ms, now_ms) + math.fsum(
        decayed(energy, then_ms, now_ms) for _, then_ms, energy in history
    )

    landmark = total(created_ms, accumulated(history))

    assert atp(landmark, now_ms) == pytest.approx(exact, rel=1e-9)


@given(st.lists(pulses, max_size=12), st.data())
def test_merging_by_maximum_forgives_every_delivery(
    history: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    """States seen late, twice and in any order make the same sum, if all were seen."""
    states: list[tuple[int, float]] = []
    landmarks = [EMPTY] * 3
    for device, now_ms, energy in history:
        landmarks[device] = pulsed(landmarks[device], energy, now_ms)
        states.append((device, landmarks[device]))
    delivered = data.draw(st.permutations(states + states[::2]))

    merged = [EMPTY] * 3
    for device, landmark in delivered:
        merged[device] = max(merged[device], landmark)

    assert merged == landmarks


@given(st.lists(st.floats(-1e6, 1e6), max_size=4))
def test_the_order_of_devices_does_not_matter(landmarks: list[float]) -> None:
    """Every order of accumulators gives the same landmark to the last bit."""
    totals = {total(LANDMARK_MS, order) for order in permutations(landmarks)}

    assert len(totals) == 1


@given(st.floats(-1e6, 1e6), st.floats(0, MAX_PULSE), times)
def test_an_accumulator_never_shrinks(
    landmark: float, energy: float, now_ms: int
) -> None:
    """A pulse leaves the landmark where it is or greater."""
    assert pulsed(landmark, energy, now_ms) >= landmark
    assert pulsed(landmark, 0.0, now_ms) == landmark


@pytest.mark.parametrize("years", [-50, 0, 10, 80, 8000])
def test_no_time_overflows(years: int) -> None:
    """Decades of pulses and of rest keep energy finite and exact."""
    then_ms = LANDMARK_MS + years * YEAR_MS
    landmark = total(then_ms, [pulsed(EMPTY, 5.0, then_ms)])

    assert atp(landmark, then_ms) == pytest.approx(6.0)
    assert atp(landmark, then_ms + HALF_LIFE_MS) == pytest.approx(3.0)
    assert atp(landmark, then_ms + 100 * YEAR_MS) == 0.0


def test_extremes_stay_finite() -> None:
    """The greatest landmark, and none at all, still read as numbers."""
    assert math.isfinite(atp(total(LANDMARK_MS, [MAX_LANDMARK]), LANDMARK_MS))
    assert atp(EMPTY, LANDMARK_MS) == 0.0
    assert pulsed(EMPTY, 0.0, LANDMARK_MS) == EMPTY
    assert total(LANDMARK_MS, [EMPTY, EMPTY]) == total(LANDMARK_MS, [])


@given(st.floats(0, 1e300), st.floats(0, 1e300))
def test_attention_saturates(first: float, second: float) -> None:
    """Attention grows with energy, from none to one, and is half at the saturation."""
    low, high = sorted((first, second))

    assert 0 <= attention(low) <= attention(high) <= 1
    assert attention(0) == 0
    assert attention(SATURATION_ATP) == 0.5


half_lives = st.sampled_from((1, 24, HALF_LIFE, 720, MAX_HALF_LIFE))


@given(times, half_lives, st.lists(st.tuples(pulses, half_lives), max_size=12))
def test_each_pulse_decays_by_its_own_half_life(
    created_ms: int, of_network: int, history: list[tuple[tuple[int, int, float], int]]
) -> None:
    """Whatever half-lives devices had, the sum is that of all that decayed."""
    now_ms = LANDMARK_MS + YEAR_MS
    landmarks: dict[tuple[int, int], float] = {}
    exact = 2.0 ** ((created_ms - now_ms) / (of_network * HOUR_MS))
    for (device, then_ms, energy), hours in history:
        place = device, hours
        before = landmarks.get(place, EMPTY)
        landmarks[place] = pulsed(before, energy, then_ms, hours)
        exact += energy * 2.0 ** ((then_ms - now_ms) / (hours * HOUR_MS))
    spent = [(hours, landmark) for (_, hours), landmark in landmarks.items()]

    found = {totals(created_ms, of_network, order) for order in (spent, spent[::-1])}

    assert len(found) == 1
    assert atp_of(found.pop(), now_ms) == pytest.approx(exact, rel=1e-9, abs=1e-300)


def test_the_usual_half_life_needs_nothing_else() -> None:
    """A node without another half-life has one landmark, as it always had."""
    spent = [3.0, 4.0]

    assert totals(LANDMARK_MS, HALF_LIFE, [(HALF_LIFE, each) for each in spent]) == (
        total(LANDMARK_MS, spent),
        (),
    )
