"""Patterns that were planted are found, and chance is not taken for one."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.patterns import FALSE_SHARE, History, at_least, at_most, patterns

HOUR = 3_600_000
WINDOW = 7 * 24 * HOUR
NOW = 1_800_000_000_000
LONG_AGO = NOW - 20 * WINDOW


def steady(dice: random.Random, per_window: float) -> list[int]:
    """Return times without any pattern, over five windows."""
    count = round(dice.gauss(5 * per_window, math.sqrt(5 * per_window)))
    return sorted(NOW - dice.randrange(5 * WINDOW) for _ in range(max(count, 0)))


def quiet(dice: random.Random, nodes: int) -> list[History]:
    """Return the histories of nodes that nothing happens to but chance."""
    return [
        History(node, steady(dice, dice.choice([0.5, 3, 10, 30])), LONG_AGO)
        for node in range(nodes)
    ]


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 99))
def test_tails_are_binomial(count: int, total: int, percent: int) -> None:
    """Both tails agree with exact arithmetic."""
    count = min(count, total)
    share = Fraction(percent, 100)
    chances = [
        math.comb(total, n) * share**n * (1 - share) ** (total - n)
        for n in range(total + 1)
    ]

    assert at_least(count, total, percent / 100) == pytest.approx(
        float(sum(chances[count:])), rel=1e-9
    )
    assert at_most(count, total, percent / 100) == pytest.approx(
        float(sum(chances[: count + 1])), rel=1e-9
    )


def test_chance_alone_is_hardly_ever_told() -> None:
    """Of 200 graphs of 100 nodes without a pattern few tell any."""
    alarmed = 0
    for seed in range(200):
        found, asked = patterns(quiet(random.Random(seed), 100), WINDOW, NOW)
        assert asked > 100
        alarmed += bool(found)

    assert alarmed <= 200 * FALSE_SHARE * 3


def test_planted_patterns_are_found() -> None:
    """Nodes that rise, fall or burst are found among many that do not."""
    found_of: dict[str, int] = {"rising": 0, "falling": 0, "burst": 0}
    false = 0
    for seed in range(30):
        dice = random.Random(seed)
        histories = quiet(dice, 300)
        planted: dict[int, str] = {1: "rising", 2: "falling", 3: "burst"}
        rising = steady(dice, 4) + [NOW - dice.randrange(WINDOW) for _ in range(40)]
        falling = [t for t in steady(dice, 30) if t < NOW - WINDOW]
        start = NOW - dice.randrange(10 * HOUR, WINDOW)
        burst = steady(dice, 10) + [start + dice.randrange(3 * HOUR) for _ in range(25)]
        for node, times in ((1, rising), (2, falling), (3, burst)):
            histories[node] = History(node, sorted(times), LONG_AGO)

        found, _ = patterns(histories, WINDOW, NOW)

        for pattern in found:
            if planted.get(pattern.node) == pattern.kind:
                found_of[pattern.kind] += 1
            elif pattern.node not in planted:
                false += 1

    assert min(found_of.values()) >= 28
    assert false <= 3


def test_a_pattern_has_its_figures() -> None:
    """How much there was, how much was to be expected, and when."""
    times = [NOW - 5 * WINDOW + n * 8 * HOUR for n in range(105)]
    times += [NOW - 50 * HOUR + n * 60_000 for n in range(40)]

    found, asked = patterns([History(7, times, LONG_AGO)], WINDOW, NOW)

    (burst,) = found
    assert asked == 2
    assert (burst.node, burst.kind) == (7, "burst")
    assert burst.count >= 40
    assert burst.expected < 3
    assert NOW - 57 * HOUR <= burst.start_ms <= NOW - 50 * HOUR
    assert burst.chance < 1e-20


def test_one_busy_minute_is_neither_trend_nor_burst() -> None:
    """Many pulses at once count once."""
    times = [NOW - 10 * HOUR + n for n in range(500)]

    assert patterns([History(1, times, LONG_AGO)], WINDOW, NOW)[0] == []


def test_a_new_node_has_no_trend() -> None:
    """Without a window before this one nothing is said about rising."""
    times = [NOW - n * 4 * HOUR for n in range(1, 40)]
    history = History(1, sorted(times), NOW - WINDOW - HOUR)

    assert patterns([history], WINDOW, NOW)[0] == []


def test_no_history_asks_nothing() -> None:
    """An empty graph and a node that was never pulsed have no patterns."""
    assert patterns([], WINDOW, NOW) == ([], 0)
    assert patterns([History(1, [], LONG_AGO)], WINDOW, NOW) == ([], 0)
