"""The edge carries a session over a link, and leaves nothing behind at its end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest

from crdt.errors import DiskFullError, MalformedError
from crdt.ids import DeviceId
from tests.support.links import MemoryLink, memory_pair
from tests.support.model_replica import ModelReplica
from tests.support.sim_device import SPACE, device_id
from transport.carriage import MAX_WAITING_BYTES
from transport.exchange import Exchange, Stored
from transport.frames import (
    Acknowledge,
    Aside,
    Condition,
    PartialCheckpoint,
    Presence,
    encode,
)
from transport.link import LinkClosedError
from transport.session_names import SessionName
from transport.sync import SyncSession
from transport.sync_actions import (
    Checkpoint,
    Compared,
    EndCause,
    Holdings,
    KeepCheckpointPart,
    News,
    RosterState,
)

A: Final = device_id(1)
B: Final = device_id(2)


@dataclass
class Port:
    """A model replica as a port; it may be told to fail."""

    replica: ModelReplica
    peer: DeviceId
    news: list[News] = field(default_factory=list)
    handed: list[Aside] = field(default_factory=list)
    failure: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    parts: list[bytes] = field(default_factory=list)

    async def keep(self, envelopes: Sequence[bytes]) -> Stored:
        if self.failure is not None:
            raise self.failure
        new, refusals = self.replica.receive(envelopes)
        return Stored(self.replica.holdings(), len(new), refusals)

    async def load(self, device: DeviceId, after: int, max_bytes: int) -> list[bytes]:
        return self.replica.after(device, after, max_bytes)

    async def keep_statements(self, statements: Sequence[bytes]) -> RosterState:
        self.replica.receive_statements(statements)
        return self.replica.roster(self.peer)

    async def load_statements(self, hashes: Sequence[bytes]) -> list[bytes]:
        return [self.replica.statements[each] for each in hashes]

    async def note_acknowledged(self, vector: Mapping[DeviceId, int]) -> None:
        self.replica.note(self.peer, vector)
        self._wake()

    async def write_checkpoint(self, partial: PartialCheckpoint | None) -> Checkpoint:
        self.parts = self.replica.checkpoint()
        return Checkpoint(bytes(16), 0, len(self.parts))

    async def load_checkpoint_part(self, checkpoint: bytes, index: int) -> bytes:
        return self.parts[index]

    async def keep_checkpoint_part(self, part: KeepCheckpointPart) -> Holdings:
        self.replica.install(part.index, part.total, part.part)
        return self.replica.holdings()

    def admit_checkpoint(self) -> bool:
        return True

    def hand(self, frame: Aside) -> None:
        self.handed.append(frame)
        self._wake()

    def report(self, news: News) -> None:
        self.news.append(news)
        self._wake()

    async def wait_for(self, condition: object) -> None:
        """Wait until a condition, a function without arguments, holds."""
        assert callable(condition)
        async with asyncio.timeout(10):
            while not condition():
                await self.changed.wait()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Side:
    """One device with its end of a link."""

    def __init__(self, me: DeviceId, peer: DeviceId, link: MemoryLink) -> None:
        self.replica = ModelReplica(me)
        for device in (A, B):
            self.replica.state("add", device)
        self.port = Port(self.replica, peer)
        self.link = link
        self.peer = peer

    def make(self) -> None:
        """Make the session from what the replica holds now."""
        me, clock = self.replica.me, asyncio.get_running_loop().time
        session = SyncSession(
            SessionName(SPACE, me, self.peer, bytes(8), 1),
            self.replica.holdings(),
            self.replica.roster(self.peer),
            Condition.READY,
            int(clock() * 1000),
        )
        self.exchange = Exchange(
            session, self.link, self.port, lambda: int(clock() * 1000)
        )

    def has_all_of(self, other: "Side") -> bool:
        """Whether this side holds and shows what the other does, and both know it."""
        return (
            self.replica.graph == other.replica.graph
            and Compared(is_equal=True) in self.port.news
        )


@asynccontextmanager
async def two_sides() -> AsyncIterator[tuple[Side, Side]]:
    """Make both ends of a link."""
    links = memory_pair(A, B)
    yield Side(A, B, links[0]), Side(B, A, links[1])
    for link in links:
        await link.aclose()


async def test_everything_comes_over() -> None:
    """Statements, a checkpoint, small and large envelopes, and what is new."""
    async with two_sides() as (a, b):
        a.replica.state("add", device_id(3))
        for number in range(300):
            a.replica.write(bytes(number))
        a.make()
        b.make()
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(each.exchange.run(0)) for each in (a, b)]
            await b.port.wait_for(lambda: b.has_all_of(a))
            new = b.replica.write(bytes(5 * 2**20))
            b.exchange.advanced(new, b.replica.holdings())
            a.exchange.tell(Presence(b"here"))
            await a.port.wait_for(lambda: a.has_all_of(b))
            await b.port.wait_for(lambda: b.port.handed)
            a.exchange.stop()

    assert [each.result() for each in runs] == [EndCause.STOPPED, EndCause.PEER_LEFT]
    assert b.port.handed == [Presence(b"here")]
    assert a.replica.acknowledged[B] == b.replica.vector


async def test_a_lost_link_ends_the_exchange() -> None:
    """No task stays behind when the link is lost, and that is what is told."""
    async with two_sides() as (a, b):
        a.make()
        b.make()
        before = len(asyncio.all_tasks())
        runs = [asyncio.ensure_future(each.exchange.run(0)) for each in (a, b)]
        await a.port.wait_for(lambda: a.port.news)
        a.link.cut()
        results = await asyncio.gather(*runs, return_exceptions=True)

    assert [type(each) for each in results] == [LinkClosedError] * 2
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(
    ("failure", "cause", "there"),
    [
        (DiskFullError("full"), EndCause.DISK_FULL, EndCause.DISK_FULL_THERE),
        (MalformedError("forged"), EndCause.BROKEN_ENVELOPE, EndCause.REJECTED),
    ],
)
async def test_what_cannot_be_kept_ends_the_exchange(
    failure: Exception, cause: EndCause, there: EndCause
) -> None:
    """A full disk and forged bytes end the session with a cause on either side."""
    async with two_sides() as (a, b):
        a.replica.write(b"x")
        a.make()
        b.make()
        b.port.failure = failure
        ran = asyncio.gather(a.exchange.run(0), b.exchange.run(0))
        causes = await ran

    assert list(causes) == [there, cause]


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (b"\x02later", EndCause.VERSION),
        (b"\x01\xff", EndCause.MALFORMED),
        (encode(Acknowledge(0, {})), EndCause.OUT_OF_PLACE),
    ],
)
async def test_what_is_no_frame_ends_the_exchange(
    frame: bytes, cause: EndCause
) -> None:
    """Bytes that cannot be read, or not now, end the session."""
    async with two_sides() as (a, b):
        a.make()
        await b.link.send(frame)

        assert await a.exchange.run(0) is cause


async def test_a_peer_that_does_not_read_is_left() -> None:
    """What waits to be sent is bounded: presence is dropped, and no memory piles up."""
    async with two_sides() as (a, b):
        a.make()
        b.make()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(b.exchange.run(0))
            tasks.create_task(a.exchange.run(0))
            await a.port.wait_for(lambda: a.port.news)
            content = Presence(bytes(16_000))
            for _ in range(1000):
                a.exchange.tell(content)
            waiting = a.exchange.waiting_bytes
            a.exchange.stop()

    assert waiting <= MAX_WAITING_BYTES


async def test_cancelling_leaves_nothing_behind() -> None:
    """A cancelled exchange closes its link and has no tasks left."""
    async with two_sides() as (a, b):
        a.make()
        before = len(asyncio.all_tasks())
        run = asyncio.ensure_future(a.exchange.run(0))
        await b.link.receive()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

        assert len(asyncio.all_tasks()) == before
        with pytest.raises(LinkClosedError):
            await b.link.receive()
