"""The edge carries a circle's session over a link, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest

from crdt.circle_items import ItemKind, ItemName
from crdt.errors import DiskFullError, ForgedError
from crdt.ids import DeviceId
from tests.support.circle_swarm import CIRCLE
from tests.support.links import MemoryLink, memory_pair
from tests.support.sim_circle_records import SimRecords
from transport.circle_actions import (
    CircleEnd,
    CircleNews,
    CircleSessionName,
    Greeted,
    Progress,
)
from transport.circle_exchange import CircleExchange, Kept, Loaded
from transport.circle_frames import (
    Acknowledge,
    CircleState,
    Hello,
    decode,
    encode,
)
from transport.circle_session import CircleSession
from transport.link import LinkClosedError
from transport.sorted_names import SortedNames

A: Final = DeviceId(b"\1" * 16)
B: Final = DeviceId(b"\2" * 16)


@dataclass
class Port:
    """Simple records as a port; it may be told to fail."""

    records: SimRecords
    news: list[CircleNews] = field(default_factory=list)
    alarms: list[tuple[bytes, bytes]] = field(default_factory=list)
    failure: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    exchange: CircleExchange | None = None

    def hello(self) -> CircleState:
        return self.records.state()

    async def names(self, kind: ItemKind) -> SortedNames:
        return self.records.names(kind)

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        return self.records.lacking(kind, names)

    async def load(self, kind: ItemKind, names: Sequence[ItemName]) -> Loaded:
        return self.records.load(kind, names)

    async def keep(self, kind: ItemKind, payload: bytes) -> Kept:
        if self.failure is not None:
            raise self.failure
        kept, new = self.records.keep(kind, payload)
        assert self.exchange is not None
        self.exchange.changed(kind, new, is_own=False)
        return kept

    def results_differ(self, here: bytes, there: bytes) -> None:
        self.alarms.append((here, there))
        self._wake()

    def report(self, news: CircleNews) -> None:
        self.news.append(news)
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def is_equal(self) -> bool:
        """Whether the last report said that both hold the same."""
        found = [each for each in self.news if isinstance(each, Progress)]
        return bool(found) and found[-1].is_equal

    async def wait_equal(self) -> None:
        """Wait until both hold the same."""
        async with asyncio.timeout(20):
            while not self.is_equal:
                await self.changed.wait()


def clock_ms() -> int:
    """Return the time of the loop."""
    return int(asyncio.get_running_loop().time() * 1000)


def exchange(port: Port, link: MemoryLink, me: DeviceId) -> CircleExchange:
    """Return an exchange of a new session."""
    name = CircleSessionName(CIRCLE, me, link.peer, bytes(8), 1)
    session = CircleSession(name, "rc1", port.hello(), clock_ms())
    port.exchange = CircleExchange(session, link, port, clock_ms)
    return port.exchange


@asynccontextmanager
async def running(
    one: Port, other: Port
) -> AsyncIterator[tuple[asyncio.Task[CircleEnd], asyncio.Task[CircleEnd]]]:
    """Run two exchanges with each other, and stop what still runs at the end."""
    ends = memory_pair(A, B)
    tasks = tuple(
        asyncio.create_task(exchange(port, link, me).run())
        for port, link, me in zip((one, other), ends, (A, B), strict=True)
    )
    try:
        yield (tasks[0], tasks[1])
    finally:
        for port in (one, other):
            assert port.exchange is not None
            port.exchange.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


def records(number: int, items: int, size: int = 1000) -> SimRecords:
    """Return records of a member with contributions."""
    made = SimRecords(number)
    made.make(ItemKind.STATEMENT, 100)
    for _ in range(items):
        made.make(ItemKind.CONTRIBUTION, size)
    return made


async def test_two_devices_come_to_hold_the_same() -> None:
    """Both get all that either has, also where it is more than the credit."""
    one, other = Port(records(1, 3000)), Port(records(2, 500))
    async with running(one, other) as (first, second):
        await one.wait_equal()
        await other.wait_equal()
        assert one.exchange is not None
        one.exchange.stop()
        assert await first is CircleEnd.STOPPED
        assert await second is CircleEnd.PEER_LEFT

    assert one.records.state().sets == other.records.state().sets
    assert len(one.records.items[ItemKind.CONTRIBUTION]) == 3500
    assert Greeted(bytes(8), 1, "rc1") in one.news


async def test_what_is_made_is_given_live() -> None:
    """An item that is made while the session runs comes through at once."""
    one, other = Port(records(1, 1)), Port(records(2, 1))
    async with running(one, other):
        await one.wait_equal()
        await other.wait_equal()
        name = one.records.make(ItemKind.VOTE, 10)
        assert one.exchange is not None
        one.exchange.changed(ItemKind.VOTE, [name], is_own=True)
        one.exchange.recheck()
        async with asyncio.timeout(10):
            while name not in other.records.items[ItemKind.VOTE]:
                await other.changed.wait()


async def test_different_results_are_told() -> None:
    """A device hears that the other computed something else of the same sets."""
    one, other = Port(records(1, 1)), Port(records(2, 1))
    async with running(one, other):
        await one.wait_equal()
        await other.wait_equal()
        one.records.result, other.records.result = bytes(32), b"\1" * 32
        for port in (one, other):
            assert port.exchange is not None
            port.exchange.changed(ItemKind.VOTE, [], is_own=True)
        async with asyncio.timeout(10):
            while not (one.alarms or other.alarms):
                await one.changed.wait()


@pytest.mark.parametrize(
    ("failure", "here", "there"),
    [
        (DiskFullError("full"), CircleEnd.DISK_FULL, CircleEnd.DISK_FULL_THERE),
        (ForgedError("forged"), CircleEnd.BROKEN_ITEM, CircleEnd.REJECTED),
    ],
)
async def test_a_store_that_cannot_keep_ends_the_session(
    failure: Exception, here: CircleEnd, there: CircleEnd
) -> None:
    """A full disk and items that are none end a session, and both say why."""
    one, other = Port(records(1, 1)), Port(SimRecords(2), failure=failure)
    async with running(one, other) as (first, second):
        assert await second is here
        assert await first is there


async def test_bytes_that_are_no_frame_end_the_session() -> None:
    """Of what is not understood, only ignorable kinds are passed over."""
    for wrong, cause in (
        (b"\x02\x90", CircleEnd.VERSION),
        (b"\x01\x91\x08", CircleEnd.MALFORMED),
    ):
        near, far = memory_pair(A, B)
        port = Port(SimRecords(1))
        task = asyncio.create_task(exchange(port, near, A).run())
        hello = Hello((1, 1), CIRCLE, bytes(8), 1, "rc1", port.hello())
        for frame in (encode(hello), b"\x01\x91\xcc\xc8", encode(Acknowledge(0, 0))):
            await far.send(frame)
        await far.send(wrong)

        assert await task is cause
        assert isinstance(decode(await far.receive()), Hello)


async def test_a_lost_link_is_told_as_such() -> None:
    """Where the link ends first, that is what the caller hears."""
    near, far = memory_pair(A, B)
    task = asyncio.create_task(exchange(Port(SimRecords(1)), near, A).run())
    await far.aclose()

    with pytest.raises(LinkClosedError):
        await task
