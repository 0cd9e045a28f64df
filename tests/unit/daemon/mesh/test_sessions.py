"""Sessions over links in memory between real replicas: what each says of the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest

from daemon.mesh.standing import BrokenOff, SpaceState, space_state
from tests.support.replicas import content, scratch_folder
from tests.support.stations import Station, meet, station
from transport.frames import Condition, Presence
from transport.sync_actions import EndCause

ONLINE: Final = "peer.online"
OFFLINE: Final = "peer.offline"


@pytest.fixture
async def two() -> AsyncIterator[tuple[Station, Station]]:
    """Run two devices that know each other."""
    with scratch_folder() as folder:
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(station(folder, 0))
            b = await stack.enter_async_context(station(folder, 1))
            yield a, b


def comings(here: Station) -> list[str]:
    """Return what was told of coming and going."""
    return [kind for kind, _ in here.told if kind.startswith("peer.")]


async def in_step(a: Station, b: Station) -> None:
    """Return when both say that they are in step."""
    await a.wait_for(lambda: a.standing(b).is_synced)
    await b.wait_for(lambda: b.standing(a).is_synced)


async def test_what_both_hold_comes_together(two: tuple[Station, Station]) -> None:
    """Two replicas show the same, and only then do both say so."""
    a, b = two
    await a.write("mill", "weir")
    await b.write("roof")
    assert not a.standing(b).is_safe
    meeting = meet(a, b)

    await in_step(a, b)

    assert content(a.device).nodes == content(b.device).nodes
    assert set(content(b.device).nodes) == {"mill", "weir", "roof"}
    for link in meeting.links:
        await link.aclose()
    await meeting.over()


async def test_what_is_written_while_linked_arrives(
    two: tuple[Station, Station],
) -> None:
    """A change is pending at once, until the other device has acknowledged it."""
    a, b = two
    meeting = meet(a, b)
    await a.write("first")
    await in_step(a, b)

    await a.write("second")
    shown = [a.standing(b)]
    await in_step(a, b)

    assert shown[0].pending_out or content(b.device).nodes.keys() == {"first", "second"}
    assert a.view.record(b.me).vector == b.view.holding.vector
    meeting.links[0].cut()
    await meeting.over()


async def test_coming_and_going_is_told(two: tuple[Station, Station]) -> None:
    """Each session is told by one coming and one going; so often, whatever ends it."""
    a, b = two
    for _ in range(3):
        meeting = meet(a, b)
        await in_step(a, b)
        meeting.links[0].cut()
        await meeting.over()

    assert comings(a) == comings(b) == [ONLINE, OFFLINE] * 3
    assert not a.sessions.peers
    assert a.told[-1] == ("sync.state", b.me)


async def test_a_link_takes_over_without_a_gap(two: tuple[Station, Station]) -> None:
    """While another link replaces one, the device is there all the time."""
    a, b = two
    first = meet(a, b)
    await in_step(a, b)
    second = meet(a, b)
    for task in first.tasks:
        task.cancel()
    await first.over()
    await b.write("over the second")
    await a.wait_for(lambda: "over the second" in content(a.device).nodes)

    assert comings(a) == comings(b) == [ONLINE]
    assert a.sessions.peers == {b.me}
    assert first.links[0].bytes_out
    second.links[1].cut()
    await second.over()
    assert comings(a) == comings(b) == [ONLINE, OFFLINE]


async def test_a_store_that_fails_is_the_cause(two: tuple[Station, Station]) -> None:
    """Whatever the store raises ends the one session, and is told as its cause."""
    a, b = two
    meeting = meet(a, b)
    await in_step(a, b)
    await a.owner.retire(lambda _: None)
    await b.write("too late")
    await meeting.over()

    assert [task.exception() for task in meeting.tasks] == [None, None]
    assert a.view.record(b.me).ended is EndCause.STORE_FAILED
    again = meet(a, b)
    await again.over()
    assert a.standing(b).trouble == BrokenOff(EndCause.STORE_FAILED)

    a.owner.resume()
    last = meet(a, b)
    await in_step(a, b)
    assert a.standing(b).trouble is None
    last.links[0].cut()
    await last.over()


async def test_one_condition_is_told_to_all(two: tuple[Station, Station]) -> None:
    """A full disk here is known there, and so is that there is room again."""
    a, b = two
    meeting = meet(a, b)
    await in_step(a, b)
    record = b.view.record(a.me)

    a.sessions.disk_is_full()
    await b.wait_for(lambda: record.condition is Condition.DISK_FULL)
    assert space_state([b.standing(a)]) is SpaceState.SYNCING
    a.sessions.try_again()
    await b.wait_for(lambda: record.condition is Condition.READY)

    await in_step(a, b)
    meeting.links[0].cut()
    await meeting.over()


async def test_words_beside_go_to_who_is_there(two: tuple[Station, Station]) -> None:
    """Presence is handed over; where nobody is, nothing is said and nothing waits."""
    a, b = two
    assert not a.sessions.say(Presence(b"nobody hears"))
    meeting = meet(a, b)
    await in_step(a, b)

    assert a.sessions.say(Presence(b"here"), b.me)
    await b.wait_for(lambda: b.heard)

    assert b.heard == [(a.me, Presence(b"here"))]
    meeting.links[0].cut()
    await meeting.over()
    assert not a.sessions.say(Presence(b"gone"), b.me)


async def test_a_closed_owner_ends_no_more_than_the_session() -> None:
    """A session that begins while the store closes is over at once, without harm."""
    with scratch_folder() as folder:
        async with station(folder, 1) as b:
            async with station(folder, 0) as a:
                pass
            meeting = meet(a, b)
            await meeting.tasks[0]
            await meeting.links[0].aclose()
            await meeting.over()

            assert [task.exception() for task in meeting.tasks] == [None, None]
            assert comings(b) == [ONLINE, OFFLINE]
