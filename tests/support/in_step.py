"""Two daemons of one person whose envelopes are carried by hand as soon as they exist.

Real owners, APIs and sockets, in one thread of this process; only what finds and links
devices is missing.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crdt.devices import OWN_DEVICE
from crdt.envelope import decode
from crdt.graph_reader import GraphReader
from crdt.graph_snapshot import GraphSnapshot
from crdt.ids import NodeKey
from crdt.replica import Committed, Replica
from daemon.api.server import ApiServer
from daemon.api.service import Service
from daemon.event_log import EventLog
from daemon.live.bodies import LiveBodies
from daemon.live.room import BodyStore
from daemon.metrics import Metrics
from daemon.owner import Owner
from daemon.tickets import Tickets
from tests.support.daemons import Api
from tests.support.replicas import Device, dice, opened

TOKEN = "a token"


@dataclass
class Member:
    """One of the daemons."""

    device: Device
    owner: Owner = field(init=False)
    live: LiveBodies = field(init=False)
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    """How many of its envelopes the other has got."""

    def tell(self, committed: Committed) -> None:
        """Take note of a commit as the daemon does."""
        self.live.tell(committed)
        self.committed.set()

    async def carry_to(self, other: "Member") -> None:
        """Give the other every envelope as soon as there is one, for ever."""
        with closing(self.device.database.reader()) as connection:
            while True:
                await self.committed.wait()
                self.committed.clear()
                await self.owner.run(Replica.seal)
                rows: list[tuple[Any, ...]] = connection.execute(
                    "SELECT bytes FROM envelope WHERE device = ? AND sequence > ?"
                    " ORDER BY sequence",
                    (OWN_DEVICE, self.sent),
                ).fetchall()
                for (encoded,) in rows:
                    await self._give(other, encoded)
                    self.sent += 1

    async def _give(self, other: "Member", encoded: bytes) -> None:
        author = self.device.identity
        changes = opened(decode(encoded), author)
        other.owner.tell(
            await other.owner.run(
                lambda replica: replica.receive(
                    changes, author.device, author.client_id, other.device.now_ms
                )
            )
        )


@contextmanager
def in_step(folder: Path) -> Iterator[tuple[Api, Api]]:
    """Serve two devices of one person and space until the block ends."""
    serving: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, list[int]]]
    serving = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with _members(folder) as (members, ports), asyncio.TaskGroup() as tasks:
            carrying = [
                tasks.create_task(one.carry_to(other))
                for one, other in (members, members[::-1])
            ]
            serving.set_result((asyncio.get_running_loop(), stop, ports))
            await stop.wait()
            for each in carrying:
                each.cancel()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if serving.done():
                raise
            serving.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    loop, stop, ports = serving.result()
    try:
        yield Api(ports[0], TOKEN), Api(ports[1], TOKEN)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@asynccontextmanager
async def _members(folder: Path) -> AsyncIterator[tuple[list[Member], list[int]]]:
    async with AsyncExitStack() as stack:
        members, ports = [], []
        for number in range(2):
            member = Member(Device(folder / f"{number}", number))
            members.append(member)
            ports.append(await stack.enter_async_context(_serving(member)))
        yield members, ports


@asynccontextmanager
async def _serving(member: Member) -> AsyncIterator[int]:
    device = member.device
    with device.running(clean=False) as replica, ThreadPoolExecutor(1) as threads:
        database, index = device.database, replica.index
        clock = asyncio.get_running_loop().time
        async with Owner(
            lambda: replica, lambda: device.now_ms, lambda: 0, member.tell
        ) as member.owner:
            with (
                GraphReader(database, index) as reader,
                GraphReader(database, index) as slow_reader,
            ):

                async def missing(key: NodeKey, state: bytes) -> tuple[bytes, bytes]:
                    return slow_reader.missing_of_body(key, state)

                store = BodyStore(member.owner.write, missing)
                async with LiveBodies(store, lambda: int(clock() * 1000)) as live:
                    member.live = live
                    service = Service(
                        home=device.home,
                        token=TOKEN,
                        space="",
                        identity=device.identity,
                        key_source="key-file",
                        owner=member.owner,
                        live_bodies=live,
                        reader=reader,
                        slow_reader=slow_reader,
                        threads=threads,
                        events=EventLog(0),
                        tickets=Tickets(dice("tickets")),
                        metrics=Metrics(),
                        openapi=b"",
                        wall_ms=lambda: device.now_ms,
                        started_ms=0,
                        snapshot=lambda: GraphSnapshot(
                            database, index, device.identity.device
                        ),
                    )
                    async with ApiServer(service, 0) as server:
                        yield server.port
