"""Consensus nodes that rise, fall or burst."""

import pytest

from daemon.circles.movement import Moment, movement

DAY = 86_400_000
NOW = 100 * DAY
WINDOW = 7 * DAY


def kind(*history: tuple[float, int, int]) -> str | None:
    """Return how a node moved; moments as (days ago, score, persons)."""
    moments = [
        Moment(NOW - int(ago * DAY), score, persons, persons, persons)
        for ago, score, persons in history
    ]
    found = movement(moments, WINDOW, NOW)
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], None),
        ([(9, 7_000, 3)], None),
        ([(9, 7_000, 3), (2, 7_100, 4)], None),
        ([(9, 7_000, 3), (5, 7_000, 4), (2, 7_000, 5)], "rising"),
        ([(9, 7_000, 5), (5, 7_000, 4), (2, 7_000, 3)], "falling"),
        ([(9, 7_000, 3), (2, 7_600, 3)], "rising"),
        ([(9, 7_000, 3), (2, 6_400, 3)], "falling"),
        ([(9, 7_000, 3), (2, 7_600, 4)], None),
        ([(9, 7_000, 3), (2.1, 7_000, 4), (2, 7_000, 5), (1.9, 7_000, 6)], "burst"),
        ([(1, 7_000, 3)], "rising"),
        ([(1, 7_000, 3), (0.99, 7_000, 6)], "burst"),
        ([(9, 7_000, 3), (8, 7_000, 6)], None),
    ],
)
def test_what_moved(
    history: list[tuple[float, int, int]], expected: str | None
) -> None:
    """People who come or go, a score with as many people, and many at once."""
    assert kind(*history) == expected


def test_the_figures_are_told() -> None:
    """A movement names since when, from what and to what."""
    moments = [
        Moment(NOW - 9 * DAY, 7_000, 3, 3, 3),
        Moment(NOW - DAY, 7_200, 5, 5, 5),
    ]

    found = movement(moments, WINDOW, NOW)

    assert found is not None
    assert (found.since_ms, found.before, found.after) == (
        NOW - WINDOW,
        moments[0],
        moments[1],
    )
