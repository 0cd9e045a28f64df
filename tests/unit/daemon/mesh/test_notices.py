"""Events of other devices: in order, few, numbered without holes, none forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from typing import Final

import pytest

from crdt.commands import PutNode
from crdt.errors import StoreError
from crdt.ids import DeviceId, format_id
from daemon.mesh.notices import MAX_WAITING
from tests.support.replicas import identity, scratch_folder
from tests.support.stations import Watched, watched

PHONE: Final = identity(1).device
TABLET: Final = identity(2).device


@pytest.fixture
async def here() -> AsyncIterator[Watched]:
    """Run a device that tells what its mesh finds out."""
    with scratch_folder() as folder:
        async with watched(folder, 0) as here:
            running = asyncio.ensure_future(here.notices.run(here.owner, here.overview))
            yield here
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def kinds(here: Watched, peer: DeviceId = PHONE) -> list[str]:
    """Return the types of events about a device."""
    return [e.type for _, e in here.events if e.key == format_id(peer)]


async def test_coming_and_going_is_told_in_order(here: Watched) -> None:
    """Each coming and going of each device is told, in the order in which they came."""
    for _ in range(3):
        here.notices.tell("peer.online", PHONE)
        here.notices.tell("peer.online", TABLET)
        here.notices.tell("peer.offline", PHONE)
    await here.wait_for(lambda: len(here.events) == 9)

    assert kinds(here) == ["peer.online", "peer.offline"] * 3
    assert kinds(here, TABLET) == ["peer.online"] * 3


async def test_the_state_is_told_behind_what_led_to_it(here: Watched) -> None:
    """Of what waits together, how things stand comes last: it is the newest."""
    await here.owner.write(PutNode(key="a", label="x"))
    for kind in ("peer.online", "sync.state", "sync.progress", "sync.state"):
        here.notices.tell(kind, PHONE)
    here.mesh.view.record(PHONE).acknowledge({PHONE: 1}, 0)
    await here.wait_for(lambda: len(here.events) == 4)

    assert kinds(here) == ["peer.online", "sync.progress", "sync.state"]


async def test_numbers_have_no_holes(here: Watched) -> None:
    """Events of devices and of the graph share one dense numbering."""
    for number in range(4):
        here.notices.tell("peer.online", PHONE)
        await here.owner.write(PutNode(key=f"n{number}", label="x"))
    await here.wait_for(lambda: len(here.events) == 8)

    numbers = [number for number, _ in here.events]
    assert all(after == before + 1 for before, after in pairwise(numbers))


async def test_how_things_stand_is_told_once(here: Watched) -> None:
    """However often it is looked at, a state is told when it differs from the last."""
    for _ in range(100):
        here.notices.tell("sync.state", PHONE)
    await here.wait_for(lambda: bool(here.events))
    here.notices.tell("sync.state", PHONE)
    here.notices.tell("peer.online", TABLET)
    await here.wait_for(lambda: len(here.events) == 2)

    assert kinds(here) == ["sync.state"]
    (event,) = [e for _, e in here.events if e.type == "sync.state"]
    assert event.state == here.overview.state()
    assert event.cause


async def test_what_the_store_cannot_take_is_told_later(here: Watched) -> None:
    """While the store takes nothing, events wait in order; none is lost."""
    await here.owner.retire(lambda _: None)
    here.notices.tell("peer.online", PHONE)
    here.notices.tell("sync.state", PHONE)
    for _ in range(3):
        await asyncio.sleep(0)
    with pytest.raises(StoreError):
        await here.owner.run(lambda _: None)
    here.notices.tell("peer.offline", PHONE)
    assert here.events == []

    here.owner.resume()
    await here.wait_for(lambda: len(here.events) == 3)

    assert kinds(here) == ["peer.online", "sync.state", "peer.offline"]


async def test_a_flood_is_bounded(here: Watched) -> None:
    """What flaps without end fills no memory."""
    for _ in range(10 * MAX_WAITING):
        here.notices.tell("peer.online", PHONE)
    here.notices.tell("sync.progress", DeviceId(b"nobody knows it."))
    await here.wait_for(lambda: bool(here.events))

    assert len(here.events) == MAX_WAITING
