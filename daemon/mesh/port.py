"""The replica as a session with one peer uses it.

Rule: nothing here decides; what is durable is for the replica to say, and what follows
from it for the session.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from crdt.arrival import Cause
from crdt.arrival import Refusal as Refused
from crdt.committed import PartReception, Reception
from crdt.envelope_reader import EnvelopeReader
from crdt.errors import DiskFullError, MalformedError
from crdt.ids import DeviceId
from crdt.membership import RosterChange
from crdt.replica import Replica
from daemon.mesh.checkpoint_spool import CheckpointSpool
from daemon.owner import Owner
from transport.exchange import Stored
from transport.frames import Aside, PartialCheckpoint, Refusal
from transport.sync_actions import (
    Checkpoint,
    Holdings,
    KeepCheckpointPart,
    News,
    RosterState,
)

Result = TypeVar("Result")

_REFUSALS: Final = {
    Cause.GAP: Refusal.GAP,
    Cause.NO_KEY: Refusal.NO_KEY,
    Cause.STRANGER: Refusal.STRANGER,
    Cause.REMOVED: Refusal.REMOVED,
    Cause.NOT_A_WRITER: Refusal.REMOVED,
    Cause.FORK: Refusal.FORK,
    Cause.MALFORMED: Refusal.UNREADABLE,
    Cause.COPY_OF_THIS_DEVICE: Refusal.FORK,
}
"""What a peer can do something about; anything else no honest peer sends."""


class Around(Protocol):
    """Who composes the sessions of this device."""

    def holdings(self) -> Holdings:
        """Return what is held durably now."""

    def roster_state(self, peer: DeviceId) -> RosterState:
        """Return what a session with a peer has to know of the roster."""

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements."""

    def acknowledged(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Take note of what a peer holds durably: entries that grew."""

    def disk_is_full(self) -> None:
        """Take note that something could not be made durable for want of room."""

    def report(self, peer: DeviceId, news: News) -> None:
        """Take note of what is new about a session."""

    def may_give_checkpoint(self, peer: DeviceId) -> bool:
        """Whether no other device than this one gives a checkpoint."""

    def checkpoint_taken(self) -> None:
        """Take note that a checkpoint is complete."""

    def hear(self, peer: DeviceId, frame: Aside) -> None:
        """Take what a peer says beside the graph."""


@dataclass(frozen=True, slots=True)
class ReplicaOfPeer:
    """Joins one session to this device's replica."""

    peer: DeviceId
    around: Around
    owner: Owner
    envelopes: EnvelopeReader
    threads: ThreadPoolExecutor
    """One thread, for `envelopes` and `spool`."""
    spool: CheckpointSpool
    wall_ms: Callable[[], int]

    async def keep(self, envelopes: Sequence[bytes]) -> Stored:
        """Check and store envelopes; raises `MalformedError` for what none may send."""

        def receive(replica: Replica) -> Reception:
            reception = replica.receive_envelopes(envelopes, self.wall_ms())
            self.owner.tell(reception.committed)
            return reception

        try:
            reception = await self.owner.run(receive)
        except DiskFullError:
            self.around.disk_is_full()
            raise
        return Stored(
            holdings=self.around.holdings(),
            accepted=len(envelopes) - len(reception.refused),
            refusals=_refusals(reception.refused),
        )

    async def load(self, device: DeviceId, after: int, max_bytes: int) -> list[bytes]:
        """Return the envelopes of a device that follow, none if they are pruned."""
        return await self._in_thread(
            lambda: self.envelopes.after(device, after, max_bytes)
        )

    async def keep_statements(self, statements: Sequence[bytes]) -> RosterState:
        """Check and store statements."""
        change = await self.owner.run(
            lambda replica: replica.receive_statements(statements, self.wall_ms())
        )
        self.around.roster_changed(change)
        return self.around.roster_state(self.peer)

    async def load_statements(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Return accepted statements, in the order of `hashes`."""
        return await self.owner.run(lambda replica: replica.statements_of(hashes))

    async def note_acknowledged(self, vector: Mapping[DeviceId, int]) -> None:
        """Remember what the peer holds durably: entries that grew."""
        self.around.acknowledged(self.peer, vector)

    async def write_checkpoint(self, partial: PartialCheckpoint | None) -> Checkpoint:
        """Make the whole state ready; go on with `partial` if it is still there."""
        if not self.spool.has(partial):
            # What is frozen is read in one go.
            await self.owner.run(Replica.freeze)
        return await self._in_thread(lambda: self.spool.write(partial))

    async def load_checkpoint_part(self, checkpoint: bytes, index: int) -> bytes:
        """Return a part of what was written."""
        return await self._in_thread(lambda: self.spool.part(checkpoint, index))

    async def keep_checkpoint_part(self, part: KeepCheckpointPart) -> Holdings:
        """Store a part; the last one makes the vector jump."""

        def install(replica: Replica) -> PartReception:
            reception = replica.install_checkpoint_part(part.part, self.wall_ms())
            self.owner.tell(reception.committed)
            return reception

        try:
            reception = await self.owner.run(install)
        except DiskFullError:
            self.around.disk_is_full()
            raise
        if reception.cause not in (None, Cause.DUPLICATE):
            message = f"A part of a checkpoint was refused: {reception.cause}."
            raise MalformedError(message)
        if reception.is_finished:
            self.around.checkpoint_taken()
        return self.around.holdings()

    def admit_checkpoint(self) -> bool:
        """Whether the peer may give a checkpoint now."""
        return self.around.may_give_checkpoint(self.peer)

    def hand(self, frame: Aside) -> None:
        """Take a frame that is no matter of the session."""
        self.around.hear(self.peer, frame)

    def report(self, news: News) -> None:
        """Take what is new about the session."""
        self.around.report(self.peer, news)

    async def _in_thread(self, read: Callable[[], Result]) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, read)


def _refusals(refused: Sequence[Refused]) -> list[tuple[DeviceId, int, Refusal]]:
    """Return of each device the first that was refused, and why.

    Raises `MalformedError` for what no honest peer sends.
    """
    found: dict[DeviceId, tuple[DeviceId, int, Refusal]] = {}
    for each in refused:
        if each.cause is Cause.DUPLICATE:
            continue
        refusal = _REFUSALS.get(each.cause)
        if refusal is None or each.device is None:
            message = f"A device sent an envelope that was refused: {each.cause}."
            raise MalformedError(message)
        found.setdefault(each.device, (each.device, each.sequence, refusal))
    return list(found.values())
