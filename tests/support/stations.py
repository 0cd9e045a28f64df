"""Devices in one process: real replicas, owners and sessions, links in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crdt.checkpoint import write_checkpoint
from crdt.commands import PutNode
from crdt.committed import Committed
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import DeviceId
from crdt.membership import RosterChange
from crdt.replica import Replica
from daemon.mesh.checkpoint_spool import CheckpointSpool
from daemon.mesh.port import Around, ReplicaOfPeer
from daemon.mesh.sessions import Sessions
from daemon.mesh.space_view import Clocks, SpaceView
from daemon.mesh.standing import PeerStanding
from daemon.owner import Owner
from tests.support.links import MemoryLink, memory_pair
from tests.support.replicas import SPACE_KEYS, START_MS, Device, dice
from transport.frames import Aside
from transport.reasons import Linked


@dataclass
class Station:
    """A device that runs as a daemon runs it, without a way to be dialled."""

    device: Device
    owner: Owner
    view: SpaceView
    spool: CheckpointSpool
    sessions: Sessions = field(init=False)
    told: list[tuple[str, DeviceId]] = field(default_factory=list)
    heard: list[tuple[DeviceId, Aside]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def me(self) -> DeviceId:
        """Its id."""
        return self.device.identity.device

    def tell(self, kind: str, peer: DeviceId) -> None:
        """Take note of what watchers would be told."""
        self.told.append((kind, peer))
        self._wake()

    def hear(self, peer: DeviceId, frame: Aside) -> None:
        """Take note of what is said beside the graph."""
        self.heard.append((peer, frame))
        self._wake()

    def committed(self, committed: Committed) -> None:
        """Pass on what became durable."""
        if committed.holding is not None:
            self.view.holding = committed.holding
            self.sessions.committed(committed)
        self._wake()

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements."""
        self.view.holding = replace(self.view.holding, roster=change.roster)
        self.sessions.statements_changed()

    async def write(self, *keys: str) -> None:
        """Make nodes, in envelopes."""
        await self.owner.write_all([PutNode(key=key, label=key * 10) for key in keys])

        def seal(replica: Replica) -> None:
            self.owner.tell(replica.seal())

        await self.owner.run(seal)

    def standing(self, other: "Station") -> PeerStanding:
        """Return how another station stands to this one."""
        member = self.view.member(other.me)
        assert member is not None
        link = "webrtc" if other.me in self.sessions.peers else None
        record = self.view.record(other.me)
        return record.standing(member, self.view.here, link, Linked(0))  # type: ignore[arg-type]  # mypy widens the literal

    async def wait_for(self, condition: Callable[[], Any]) -> None:
        """Return when a condition holds that is looked at after all that happens."""
        async with asyncio.timeout(20):
            while not condition():
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@asynccontextmanager
async def station(folder: Path, number: int) -> AsyncIterator[Station]:
    """Run a device until the block ends."""
    device = Device(folder / str(number), number)
    async with AsyncExitStack() as stack:
        replica = stack.enter_context(device.running(clean=False))
        owner = Owner(
            lambda: replica,
            lambda: START_MS,
            lambda: 0,
            _teller(lambda: here),
        )
        reader = EnvelopeReader(device.database, device.identity.device)
        envelopes = stack.enter_context(reader)

        def write() -> Iterator[bytes]:
            return write_checkpoint(
                device.database,
                device.identity,
                replica.keys,
                replica.roster,
                dice(f"checkpoint {number}"),
            )

        spool = stack.enter_context(CheckpointSpool(folder, write))
        threads = ThreadPoolExecutor(1)
        stack.callback(threads.shutdown)
        here = Station(
            device, owner, SpaceView(device.identity, replica.holding), spool
        )
        await stack.enter_async_context(owner)

        def port_of(peer: DeviceId, around: Around) -> ReplicaOfPeer:
            return ReplicaOfPeer(
                peer, around, owner, envelopes, threads, spool, lambda: START_MS
            )

        here.sessions = Sessions(
            here.view,
            SPACE_KEYS.space,
            port_of,
            clocks(number),
            roster_changed=here.roster_changed,
            greeted=lambda _: None,
            heard=here.hear,
            tell=here.tell,
        )
        yield here


def _teller(here: Callable[[], Station]) -> Callable[[Committed], None]:
    return lambda committed: here().committed(committed)


def clocks(number: int) -> Clocks:
    """Return a wall clock that stands, and one that a session can wait on."""

    def loop_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    return Clocks(
        lambda: START_MS, loop_ms, loop_ms, dice(f"run {number}"), lambda: 0.5
    )


@dataclass
class Meeting:
    """Two stations with a link, and what is said over it."""

    links: tuple[MemoryLink, MemoryLink]
    tasks: tuple["asyncio.Task[None]", "asyncio.Task[None]"]

    async def over(self) -> None:
        """Return when both ends are done."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self.tasks, return_exceptions=True)


def meet(a: Station, b: Station) -> Meeting:
    """Link two stations."""
    links = memory_pair(a.me, b.me)
    begin = asyncio.ensure_future
    return Meeting(links, (begin(_hold(a, links[0])), begin(_hold(b, links[1]))))


async def _hold(here: Station, link: MemoryLink) -> None:
    try:
        await here.sessions.converse(link)
    finally:
        await link.aclose()
