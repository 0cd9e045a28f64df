"""Carries one session over one link: the only place that waits for either.

Specification: docs/protocol/sync.md. Rules of this file:

1. The session decides, the port stores, the link sends; nothing is decided here.
2. Frames of a kind leave in the order in which the session made them. What the store is
   asked goes to it in order as well, readings beside writings.
3. Everything that waits is bounded: data by the credit of the session, small frames by
   the carriage.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from crdt.errors import DiskFullError, MalformedError, PeerError
from crdt.ids import DeviceId
from transport.carriage import MAX_WAITING_BYTES, Carriage
from transport.frames import (
    Aside,
    Condition,
    PartialCheckpoint,
    Refusal,
    UnknownVersionError,
    decode,
    encode,
)
from transport.link import Link
from transport.sync import SyncSession
from transport.sync_actions import (
    Action,
    AskCheckpoint,
    Checkpoint,
    End,
    EndCause,
    Hand,
    Holdings,
    Keep,
    KeepCheckpointPart,
    KeepStatements,
    Load,
    LoadCheckpointPart,
    LoadStatements,
    News,
    NoteAcknowledged,
    Report,
    RosterState,
    Send,
    WriteCheckpoint,
)
from transport.sync_states import State


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of envelopes that a peer sent."""

    holdings: Holdings
    accepted: int
    """How many of them were new and are durable now."""
    refusals: Sequence[tuple[DeviceId, int, Refusal]]
    """Of each device the first that was refused, and why."""


class ReplicaPort(Protocol):
    """What a session needs of the replica and of who composes both.

    What is kept is durable on return. Each of the keeping methods may raise
    `DiskFullError`, or `PeerError` for what no honest peer sends.
    """

    async def keep(self, envelopes: Sequence[bytes]) -> Stored:
        """Check and store envelopes; duplicates are neither new nor refused."""

    async def load(self, device: DeviceId, after: int, max_bytes: int) -> list[bytes]:
        """Return the envelopes of a device from number `after` + 1 on.

        At least one, even if it is larger; none if they are pruned.
        """

    async def keep_statements(self, statements: Sequence[bytes]) -> RosterState:
        """Check and store statements."""

    async def load_statements(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Return accepted statements, in the order of `hashes`."""

    async def note_acknowledged(self, vector: Mapping[DeviceId, int]) -> None:
        """Remember what the peer holds durably: entries that grew."""

    async def write_checkpoint(self, partial: PartialCheckpoint | None) -> Checkpoint:
        """Make the whole state ready; go on with `partial` if it is still there."""

    async def load_checkpoint_part(self, checkpoint: bytes, index: int) -> bytes:
        """Return a part, of at most `MAX_PART_BYTES`."""

    async def keep_checkpoint_part(self, part: KeepCheckpointPart) -> Holdings:
        """Store a part; the last one makes the vector jump."""

    def admit_checkpoint(self) -> bool:
        """Whether the peer may give a checkpoint now: one is taken in at a time.

        If not, `Exchange.checkpoint_possible` has to be called when that one is over.
        """

    def hand(self, frame: Aside) -> None:
        """Take a frame that is no matter of the session."""

    def report(self, news: News) -> None:
        """Take what is new about the session."""


Writing: TypeAlias = Keep | KeepStatements | KeepCheckpointPart | NoteAcknowledged
Reading: TypeAlias = Load | LoadStatements | WriteCheckpoint | LoadCheckpointPart


class Exchange:
    """One session on one link, from hello to the end."""

    def __init__(
        self,
        session: SyncSession,
        link: Link,
        port: ReplicaPort,
        clock_ms: Callable[[], int],
    ) -> None:
        self._session = session
        self._port = port
        self._clock_ms = clock_ms
        """A clock that does not step."""
        self._carriage: Carriage[EndCause] = Carriage(link, clock_ms)
        self._writings: asyncio.Queue[Writing] = asyncio.Queue()
        self._readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def run(
        self, wall_ms: int, partial: PartialCheckpoint | None = None
    ) -> EndCause:
        """Carry the session to its end; return why it ended.

        The link is closed then. Raises `LinkClosedError` if that came first.
        """

        def start() -> None:
            now_ms = self._clock_ms()
            self._perform(self._session.start(now_ms, wall_ms, partial))

        return await self._carriage.run(
            start,
            self._carriage.receive(self._take),
            self._write(),
            self._read(),
            self._carriage.keep_time(lambda: self._session.due_ms, self._expire),
        )

    @property
    def waiting_bytes(self) -> int:
        """Bytes of small frames that wait for room on the link."""
        return self._carriage.waiting_bytes

    def tell(self, frame: Aside) -> None:
        """Send a frame that is no matter of the session, unless the way is full."""
        is_over = self._session.state in {State.GREETING, State.ENDED}
        if not is_over and self.waiting_bytes < MAX_WAITING_BYTES // 2:
            self._carriage.put(encode(frame))

    def advanced(
        self, envelopes: Sequence[tuple[DeviceId, int, bytes]], holdings: Holdings
    ) -> None:
        """Take what a commit of the replica made new."""
        self._perform(self._session.advanced(envelopes, holdings, self._clock_ms()))

    def roster_changed(self, roster: RosterState) -> None:
        """Take what the roster has become."""
        self._perform(self._session.roster_changed(roster, self._clock_ms()))

    def condition_changed(self, condition: Condition) -> None:
        """Take whether this device takes envelopes."""
        self._perform(self._session.condition_changed(condition, self._clock_ms()))

    def checkpoint_possible(self) -> None:
        """Take note that no other device gives a checkpoint any more."""
        self._perform(self._session.checkpoint_possible(self._clock_ms()))

    def stop(self, cause: EndCause = EndCause.STOPPED) -> None:
        """End the session; `run` returns when the peer has been told."""
        self._perform(self._session.end(cause))

    def _perform(self, actions: Iterable[Action]) -> None:
        """See to what the session decided."""
        for action in actions:
            self._perform_one(action)
        self._carriage.moved()
        if self._carriage.clear_if_full():
            self.stop(EndCause.FLOODED)

    def _perform_one(self, action: Action) -> None:
        match action:
            case Send(frame, is_bulk):
                self._carriage.put(encode(frame), is_bulk=is_bulk)
            case Keep() | KeepStatements() | KeepCheckpointPart() | NoteAcknowledged():
                self._writings.put_nowait(action)
            case Load() | LoadStatements() | WriteCheckpoint() | LoadCheckpointPart():
                self._readings.put_nowait(action)
            case AskCheckpoint():
                if self._port.admit_checkpoint():
                    now_ms = self._clock_ms()
                    self._perform(self._session.checkpoint_wished(now_ms))
            case Hand(frame):
                self._port.hand(frame)
            case Report(news):
                self._port.report(news)
            case End(cause):
                self._carriage.end(cause)

    def _take(self, encoded: bytes) -> None:
        try:
            frame = decode(encoded)
        except UnknownVersionError:
            self.stop(EndCause.VERSION)
        except MalformedError:
            self.stop(EndCause.MALFORMED)
        else:
            if frame is not None:
                self._perform(self._session.receive(frame, self._clock_ms()))

    async def _write(self) -> None:
        while True:
            writing = await self._writings.get()
            try:
                self._perform(await self._written(writing))
            except DiskFullError:
                self.stop(EndCause.DISK_FULL)
            except PeerError:
                self.stop(_BROKEN[type(writing)])

    async def _written(self, writing: Writing) -> list[Action]:
        session, now = self._session, self._clock_ms
        match writing:
            case Keep(envelopes):
                got = await self._port.keep(envelopes)
                return session.stored(got.holdings, got.accepted, got.refusals, now())
            case KeepStatements(statements):
                roster = await self._port.keep_statements(statements)
                return session.statements_kept(roster, now())
            case KeepCheckpointPart():
                holdings = await self._port.keep_checkpoint_part(writing)
                return session.checkpoint_part_kept(holdings, now())
            case NoteAcknowledged(vector):
                await self._port.note_acknowledged(vector)
                return []

    async def _read(self) -> None:
        while True:
            self._perform(await self._found(await self._readings.get()))

    async def _found(self, reading: Reading) -> list[Action]:
        session, now = self._session, self._clock_ms
        match reading:
            case Load(device, after, max_bytes):
                envelopes = await self._port.load(device, after, max_bytes)
                return session.loaded(device, after, envelopes, now())
            case LoadStatements(hashes):
                statements = await self._port.load_statements(hashes)
                return session.statements_loaded(statements, now())
            case WriteCheckpoint(partial):
                checkpoint = await self._port.write_checkpoint(partial)
                return session.checkpoint_written(checkpoint, now())
            case LoadCheckpointPart(checkpoint_id, index):
                part = await self._port.load_checkpoint_part(checkpoint_id, index)
                return session.checkpoint_part_loaded(index, part, now())

    def _expire(self) -> None:
        self._perform(self._session.expire(self._clock_ms()))


_BROKEN: Final[Mapping[type[Writing], EndCause]] = {
    Keep: EndCause.BROKEN_ENVELOPE,
    KeepStatements: EndCause.BROKEN_STATEMENT,
    KeepCheckpointPart: EndCause.BROKEN_CHECKPOINT,
}
