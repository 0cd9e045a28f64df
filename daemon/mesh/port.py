"""The replica as a session with one peer uses it.

Rule: nothing here decides; what is durable is for the replica to say, and what follows
from it for the session.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from crdt.arrival import Refusal
from crdt.envelope_reader import EnvelopeReader
from crdt.errors import StoreError
from crdt.ids import DeviceId
from crdt.membership import RosterChange
from crdt.replica import Reception, Replica
from daemon.owner import Owner
from transport.exchange import Told
from transport.frames import Addresses, Forward, Part, Presence
from transport.sync_actions import Local


class Around(Protocol):
    """What a session's port tells the mesh."""

    def local(self, peer: DeviceId) -> Local:
        """Return what is held, and what is wished from this peer."""

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements."""

    def refused(self, peer: DeviceId, refusals: Sequence[Refusal]) -> None:
        """Take note of envelopes that were not taken."""

    def store_failed(self, error: Exception) -> None:
        """Take note that something could not be made durable."""

    def wish_checkpoint(self, peer: DeviceId) -> None:
        """Wish for a checkpoint from a peer."""

    def tell(self, peer: DeviceId, told: Told) -> None:
        """Take note of how a peer stands."""

    def hear(self, peer: DeviceId, frame: Presence | Addresses | Forward) -> None:
        """Take what a peer says beside the graph."""


@dataclass(frozen=True, slots=True)
class ReplicaOfPeer:
    """Joins one session to this device's replica."""

    peer: DeviceId
    around: Around
    owner: Owner
    envelopes: EnvelopeReader
    threads: ThreadPoolExecutor
    """One thread, for `envelopes`."""
    wall_ms: Callable[[], int]

    def local(self) -> Local:
        """Return what is held durably now."""
        return self.around.local(self.peer)

    async def load(
        self, device: DeviceId, after: int, max_bytes: int
    ) -> Sequence[bytes]:
        """Return envelopes after a number, nothing if the next is not held any more."""
        loop = asyncio.get_running_loop()
        read = self.envelopes.after
        return await loop.run_in_executor(self.threads, read, device, after, max_bytes)

    async def keep(self, envelopes: Sequence[bytes]) -> None:
        """Make envelopes durable as far as they are acceptable."""

        def receive(replica: Replica) -> Reception:
            reception = replica.receive_envelopes(envelopes, self.wall_ms())
            self.owner.tell(reception.committed)
            return reception

        try:
            reception = await self.owner.run(receive)
        except StoreError as error:
            self.around.store_failed(error)
            return
        if reception.refused:
            self.around.refused(self.peer, reception.refused)

    async def load_statements(self, hashes: frozenset[bytes]) -> Sequence[bytes]:
        """Return statements of the roster by their hashes."""
        return await self.owner.run(lambda replica: replica.statements_of(hashes))

    async def keep_statements(self, encoded: Sequence[bytes]) -> None:
        """Make statements durable as far as they are acceptable."""
        change = await self.owner.run(
            lambda replica: replica.receive_statements(encoded, self.wall_ms())
        )
        self.around.roster_changed(change)

    async def load_part(self, number: int) -> Part | None:
        """Return a part of a checkpoint; 0 begins a new one. None if there is none."""
        raise NotImplementedError(number)

    async def keep_part(self, part: Part) -> None:
        """Make a part of a checkpoint durable; raises a `PeerError` if it is bad."""
        raise NotImplementedError(part)

    def ask_checkpoint(self) -> None:
        """Wish for a checkpoint from now on."""
        self.around.wish_checkpoint(self.peer)

    def tell(self, told: Told) -> None:
        """Take note of how the peer stands."""
        self.around.tell(self.peer, told)

    def hear(self, frame: Presence | Addresses | Forward) -> None:
        """Take what the peer says beside the graph."""
        self.around.hear(self.peer, frame)
