"""What a running device does with others: it is there for them, invites, and joins."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crdt.key_sources import StoreKey
from daemon.admitting import RosterAdmission
from daemon.joining import HANDLER_NAME
from daemon.joining_home import HomeJoiner
from daemon.mesh.mesh import Mesh
from daemon.nearby import nearby_ways, own_addresses
from daemon.owner import Owner
from daemon.pairing import Pairing
from daemon.setup import Secrets
from transport.discovery import Discovery
from transport.endpoint import Endpoint
from transport.local_addresses import local_addresses
from transport.tokens import TOKEN_BYTES, Ring, ring


@dataclass(slots=True)
class Peering:
    """The parts that deal with other devices."""

    held: Secrets
    owner: Owner
    mesh: Mesh
    pairing: Pairing
    joiner: HomeJoiner
    wall_ms: Callable[[], int]
    port: int
    """Where the endpoint listens, once it does."""

    @asynccontextmanager
    async def serving(self, port: int, *, is_seen: bool) -> AsyncIterator[None]:
        """Listen for other devices; be seen on the local network if that is wanted."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.mesh)
            handlers = {HANDLER_NAME: self.pairing.answer, **self.mesh.handlers}
            endpoint = await stack.enter_async_context(Endpoint(port, handlers))
            self.port = self.mesh.whereabouts.peer_port = endpoint.port
            if is_seen:
                await stack.enter_async_context(self._seen(endpoint.port))
            yield

    @asynccontextmanager
    async def _seen(self, port: int) -> AsyncIterator[None]:
        """Be known on the local network, and see who else is."""
        async with (
            Discovery(port, self._ring, local_addresses, self.wall_ms) as discovery,
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
        replica = self.owner.replica
        return ring(self.held.identity.device, replica.roster.ranked, replica.keys)


def peering(
    home: Path,
    key: StoreKey,
    held: Secrets,
    owner: Owner,
    mesh: Mesh,
    *,
    wall_ms: Callable[[], int],
    monotonic_ms: Callable[[], int],
) -> Peering:
    """Return the parts of a device, none of them at work yet."""
    admission = RosterAdmission(
        owner=owner,
        identity=held.identity,
        space=held.keys.space,
        addresses=lambda: own_addresses(parts.port),
        wall_ms=wall_ms,
        randomness=os.urandom,
        tell=mesh.roster_changed,
    )
    pairing = Pairing(
        admission,
        addresses=lambda: own_addresses(parts.port),
        monotonic_ms=monotonic_ms,
        randomness=os.urandom,
    )
    joiner = HomeJoiner(home, key, owner, nearby_ways(), wall_ms)
    parts = Peering(held, owner, mesh, pairing, joiner, wall_ms, port=0)
    return parts
