"""Few links for each device, and everything reaches everybody."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from daemon.circles.neighbours import (
    DISTANCES,
    MAX_FULL,
    TRIED,
    farther,
    neighbours,
)


def some_devices(count: int) -> list[DeviceId]:
    """Return so many ids."""
    return [
        DeviceId(hashlib.sha256(bytes([number])).digest()[:16])
        for number in range(count)
    ]


def reached(devices: list[DeviceId]) -> set[DeviceId]:
    """Return whom an item of the first device comes to."""
    found, waiting = set(devices[:1]), devices[:1]
    while waiting:
        news = neighbours(waiting.pop(), devices) - found
        found |= news
        waiting += news
    return found


@given(count=st.integers(2, 60))
def test_links_are_few_mutual_and_reach_everybody(count: int) -> None:
    """However many devices there are."""
    devices = some_devices(count)

    for device in devices:
        chosen = neighbours(device, devices)
        assert device not in chosen
        assert len(chosen) <= max(MAX_FULL, 2 * len(DISTANCES))
        assert all(device in neighbours(each, devices) for each in chosen)
    assert reached(devices) == set(devices)


def test_in_a_small_circle_all_are_linked() -> None:
    """Up to nine devices."""
    devices = some_devices(MAX_FULL + 1)

    assert neighbours(devices[0], devices) == set(devices[1:])


@given(count=st.integers(12, 60), first=st.integers(0, 1000))
def test_in_turns_everybody_is_tried(count: int, first: int) -> None:
    """While few neighbours are there."""
    devices = some_devices(count)
    turns = range(first, first + count)

    tried = [farther(devices[0], devices, (), turn) for turn in turns]

    assert all(len(each) <= TRIED for each in tried)
    assert frozenset().union(*tried) == set(devices[1:])


def test_with_links_enough_nobody_else_is_tried() -> None:
    """Links are not made for their own sake."""
    devices = some_devices(40)

    assert farther(devices[0], devices, devices[1:4], 0) == frozenset()
