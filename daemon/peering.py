"""What a running device does with others: it is there for them, invites, and joins."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crdt.checkpoint import write_checkpoint
from crdt.database import Database
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import DeviceId, NodeKey
from crdt.key_sources import StoreKey
from daemon.admitting import RosterAdmission
from daemon.circles.circles import Circles
from daemon.circles.entering import Ways
from daemon.circles.shelf import OwnerShelf
from daemon.circles.taking_part import Means
from daemon.joining import HANDLER_NAME
from daemon.joining_home import HomeJoiner
from daemon.live.bodies import LiveBodies
from daemon.mesh.checkpoint_spool import CheckpointSpool
from daemon.mesh.mesh import Mesh, Parts
from daemon.mesh.notices import Notices
from daemon.mesh.overview import Overview
from daemon.mesh.presences import carried, hear, presences
from daemon.mesh.space_view import Clocks
from daemon.nearby import nearby_ways, own_addresses
from daemon.owner import Owner
from daemon.pairing import Pairing
from daemon.setup import Secrets
from transport.discovery import Discovery
from transport.endpoint import Endpoint
from transport.ice_servers import IceServers
from transport.local_addresses import local_addresses
from transport.tokens import TOKEN_BYTES, Ring, ring


@dataclass(frozen=True, slots=True)
class Base:
    """What all of it is built on."""

    home: Path
    key: StoreKey
    held: Secrets
    database: Database
    owner: Owner
    clocks: Clocks


@dataclass(slots=True)
class Peering:
    """The parts that deal with other devices."""

    base: Base
    mesh: Mesh
    overview: Overview
    notices: Notices
    pairing: Pairing
    joiner: HomeJoiner
    circles: Circles
    port: int
    """Where the endpoint listens, once it does."""

    @asynccontextmanager
    async def serving(self, port: int, *, is_seen: bool) -> AsyncIterator[None]:
        """Listen for other devices; be seen on the local network if that is wanted."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.mesh)
            self.circles.pause(is_paused=self.mesh.view.is_paused)
            await stack.enter_async_context(self.circles)
            handlers = self.circles.handlers(
                {HANDLER_NAME: self.pairing.answer, **self.mesh.handlers}
            )
            endpoint = await stack.enter_async_context(Endpoint(port, handlers))
            self.port = self.mesh.whereabouts.peer_port = endpoint.port
            self.circles.look()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            telling = self.notices.run(self.base.owner, self.overview)
            stack.callback(tasks.create_task(telling).cancel)
            if is_seen:
                await stack.enter_async_context(self._seen(endpoint.port))
            yield

    @asynccontextmanager
    async def _seen(self, port: int) -> AsyncIterator[None]:
        """Be known on the local network, and see who else is."""
        async with (
            Discovery(
                port, self._ring, local_addresses, self.base.clocks.wall_ms
            ) as discovery,
            asyncio.TaskGroup() as tasks,
        ):
            self.pairing.offering = lambda nameplate: discovery.offering(
                nameplate, os.urandom(TOKEN_BYTES)
            )
            following = tasks.create_task(
                self.mesh.whereabouts.follow_discovery(discovery)
            )
            yield
            following.cancel()

    def _ring(self) -> Ring:
        replica = self.base.owner.replica
        return ring(self.base.held.identity.device, replica.roster.ranked, replica.keys)


def open_peering(
    parts: AsyncExitStack, base: Base, servers: IceServers, live: LiveBodies
) -> Peering:
    """Return the parts of a device, none of them at work yet.

    What has to be closed with the store is entered into `parts`.
    """
    notices = Notices()
    mesh = _mesh(_mesh_parts(parts, base, servers), notices, live)
    clocks = base.clocks
    overview = Overview(mesh, base.owner, clocks.wall_ms, clocks.randomness)
    admission = RosterAdmission(
        owner=base.owner,
        identity=base.held.identity,
        space=base.held.keys.space,
        addresses=lambda: own_addresses(peering.port),
        wall_ms=clocks.wall_ms,
        randomness=clocks.randomness,
        tell=mesh.roster_changed,
    )
    pairing = Pairing(
        admission,
        addresses=lambda: own_addresses(peering.port),
        monotonic_ms=clocks.awake_ms,
        randomness=clocks.randomness,
    )
    joiner = HomeJoiner(base.home, base.key, base.owner, nearby_ways(), clocks.wall_ms)
    circles = mesh.circles = _circles(base, servers, mesh, lambda: peering.port)
    peering = Peering(base, mesh, overview, notices, pairing, joiner, circles, port=0)
    return peering


def _circles(
    base: Base, servers: IceServers, mesh: Mesh, port: Callable[[], int]
) -> Circles:
    """Return the circles of this person, none of them open yet."""

    def announce() -> None:
        for announcement in circles.announcements():
            mesh.say(announcement)

    circles = Circles(
        base.held.identity,
        OwnerShelf(base.owner),
        Means(
            clocks=base.clocks,
            servers=servers,
            addresses=lambda: own_addresses(port()) if port() else (),
            announce=announce,
        ),
        ways=Ways(base.clocks.randomness),
    )
    return circles


def _mesh_parts(parts: AsyncExitStack, base: Base, servers: IceServers) -> Parts:
    """Open what the mesh reads by."""
    identity, owner, clocks = base.held.identity, base.owner, base.clocks

    def write() -> Iterator[bytes]:
        replica = owner.replica
        return write_checkpoint(
            base.database, identity, replica.keys, replica.roster, clocks.randomness
        )

    envelopes = parts.enter_context(EnvelopeReader(base.database, identity.device))
    spool = parts.enter_context(CheckpointSpool(base.home, write))
    threads = ThreadPoolExecutor(1, "envelopes")
    parts.callback(threads.shutdown, cancel_futures=True)
    return Parts(owner, identity, envelopes, threads, spool, clocks, servers)


def _mesh(parts: Parts, notices: Notices, live: LiveBodies) -> Mesh:
    """Join the mesh to those who watch, and to those who edit bodies."""

    def tell(kind: str, peer: DeviceId) -> None:
        notices.tell(kind, peer)
        if kind == "peer.offline":
            live.forget(peer)

    mesh = Mesh(
        parts,
        tell=tell,
        heard=lambda peer, presence: hear(live, peer, presence),
        presences=lambda: presences(live),
    )

    def carry(node: NodeKey, states: bytes) -> None:
        presence = carried(node, states)
        if presence is not None:
            mesh.say(presence)

    live.carry = carry
    return mesh
