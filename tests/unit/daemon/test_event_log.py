"""The log of events: nothing is skipped in silence, and nobody waits for a watcher."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from crdt.events import Event
from daemon.event_log import CAPACITY, EventLog, Lost, Numbered


def events(first: int, count: int) -> list[Event]:
    """Return events whose keys are their numbers."""
    return [Event("node.changed", str(first + place)) for place in range(count)]


async def taken(watcher: AsyncIterator[Numbered], last: int) -> list[Numbered]:
    """Return what a watcher is told up to event number `last`."""
    found = [await anext(watcher)]
    while found[-1].number < last:
        found.append(await anext(watcher))
    return found


@given(
    begin=st.integers(0, 50),
    sizes=st.lists(st.sampled_from((1, 2, CAPACITY - 1, CAPACITY + 9)), max_size=3),
    after=st.integers(0, 60),
)
async def test_numbers_add_up(begin: int, sizes: list[int], after: int) -> None:
    """From any place, each number is told once: by its event, or as lost."""
    log = EventLog(begin)
    for size in sizes:
        log.extend(log.last + 1, events(log.last + 1, size))
    if after >= log.last:
        return

    place = after
    for told in await taken(aiter(log.follow(after)), log.last):
        if isinstance(told.event, Lost):
            assert told.event.first == place + 1
            place += told.event.count
        else:
            place += 1
            assert told.event.key == str(place)
        assert told.number == place
    assert place == log.last


async def test_a_watcher_waits_for_what_comes() -> None:
    """Who has read everything is told the next event when it happens."""
    log = EventLog(7)
    watcher = aiter(log.follow(7))
    waiting = asyncio.ensure_future(anext(watcher))
    await asyncio.sleep(0)
    assert not waiting.done()

    log.extend(8, events(8, 1))

    assert await waiting == Numbered(8, events(8, 1)[0])


async def test_watchers_do_not_wait_for_each_other() -> None:
    """One that does not read leaves the log and another watcher as they are."""
    log = EventLog(0)
    slow, quick = aiter(log.follow(0)), aiter(log.follow(0))
    log.extend(1, events(1, 1))
    assert (await anext(slow)).number == 1

    log.extend(2, events(2, CAPACITY - 1))
    assert len(await taken(quick, log.last)) == CAPACITY
    log.extend(log.last + 1, events(log.last + 1, 5))

    assert (await anext(slow)).event == Lost(4, 2)
    assert (await anext(slow)).number == 6


async def test_a_place_that_never_was_is_told() -> None:
    """Who asks for a number of the future learns that it is not of this log."""
    log = EventLog(3)
    watcher = aiter(log.follow(99))

    assert await anext(watcher) == Numbered(3, Lost(0, 99))
    log.extend(4, events(4, 1))
    assert (await anext(watcher)).number == 4


async def test_a_hole_is_a_loss() -> None:
    """Events that the log was never told of are lost, not passed over."""
    log = EventLog(0)
    watcher = aiter(log.follow(0))
    log.extend(1, events(1, 2))
    log.extend(10, events(10, 1))

    assert [each.number for each in await taken(watcher, 10)] == [9, 10]
