"""A session over a link: the one place where its actions are carried out.

Rules of this file:

1. Reading never waits for writing: two devices that both have much to say would
   otherwise wait for each other for ever. What is to be written is bounded by the
   session's window.
2. Whatever ends one part ends all: nothing goes on over a link that is over.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, TypeAlias, assert_never

from crdt.errors import PeerError
from crdt.ids import DeviceId
from transport.frames import (
    Addresses,
    AnyFrame,
    Forward,
    Part,
    Presence,
    decode_frame,
    encode_frame,
)
from transport.giving import Load
from transport.link import Link, LinkClosedError
from transport.sync import SyncSession
from transport.sync_actions import (
    Acknowledged,
    Action,
    AskCheckpoint,
    Compared,
    End,
    Ending,
    Envelope,
    Hear,
    KeepStatements,
    LoadPart,
    LoadStatements,
    Local,
    Moved,
    Received,
    Send,
    Stalled,
)
from transport.taking import Keep, KeepPart

MAX_EPHEMERAL_WAITING: Final = 64
"""What is only of use now is dropped when so much waits to be written."""
FAREWELL_SECONDS: Final = 2.0
Told: TypeAlias = Acknowledged | Compared | Moved | Stalled | Received


class ReplicaPort(Protocol):
    """What a session needs of this device's replica of the space."""

    def local(self) -> Local:
        """Return what is held durably now."""

    async def load(
        self, device: DeviceId, after: int, max_bytes: int
    ) -> Sequence[bytes]:
        """Return envelopes after a number, nothing if the next is not held any more."""

    async def keep(self, envelopes: Sequence[bytes]) -> None:
        """Make envelopes durable as far as they are acceptable."""

    async def load_statements(self, hashes: frozenset[bytes]) -> Sequence[bytes]:
        """Return statements of the roster by their hashes."""

    async def keep_statements(self, encoded: Sequence[bytes]) -> None:
        """Make statements durable as far as they are acceptable."""

    async def load_part(self, number: int) -> Part | None:
        """Return a part of a checkpoint; 0 begins a new one. None if there is none."""

    async def keep_part(self, part: Part) -> None:
        """Make a part of a checkpoint durable; raises a `PeerError` if it is bad."""

    def ask_checkpoint(self) -> None:
        """Wish for a checkpoint from now on."""

    def tell(self, told: Told) -> None:
        """Take note of how the peer stands."""

    def hear(self, frame: Presence | Addresses | Forward) -> None:
        """Take what the peer says beside the graph."""


class Exchange:
    """One session on one link."""

    def __init__(
        self,
        session: SyncSession,
        link: Link,
        port: ReplicaPort,
        *,
        now_ms: Callable[[], int],
        wall_ms: Callable[[], int],
        greeting: Sequence[Presence | Addresses] = (),
    ) -> None:
        """Say nothing yet; `greeting` is said once the session has begun."""
        self.session = session
        self._link = link
        self._port = port
        self._now_ms = now_ms
        self._wall_ms = wall_ms
        self._greeting = greeting
        self._control: asyncio.Queue[AnyFrame | None] = asyncio.Queue()
        self._bulk: asyncio.Queue[AnyFrame | None] = asyncio.Queue()
        self._timing = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self.ending: Ending | None = None
        """Why the session ended, if it was not the link that ended it."""

    async def run(self) -> None:
        """Exchange until the session or the link is over."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._read())
                tasks.create_task(self._write(self._control, is_bulk=False))
                tasks.create_task(self._write(self._bulk, is_bulk=True))
                tasks.create_task(self._keep_time())
                self._perform(self.session.start(self._wall_ms()))
                for frame in self._greeting:
                    self.say(frame)
        except* LinkClosedError:
            pass
        finally:
            self._tasks = None

    def update(self, fresh: Sequence[Envelope]) -> None:
        """Take note that something became durable here."""
        self._perform(self.session.update(self._port.local(), fresh, self._now_ms()))

    def remove_peer(self) -> None:
        """Let the peer know that it was removed, then end."""
        self._perform(self.session.remove_peer())

    def say(self, frame: Presence | Addresses | Forward) -> None:
        """Say something beside the graph; it may be lost."""
        if self._control.qsize() < MAX_EPHEMERAL_WAITING:
            self._control.put_nowait(frame)

    async def _read(self) -> None:
        while True:
            encoded = await self._link.receive()
            try:
                frame = decode_frame(encoded)
            except PeerError:
                self._perform([End(Ending.OUT_OF_PLACE)])
                return
            if frame is not None:
                self._perform(self.session.receive(frame, self._now_ms()))

    async def _write(
        self, queue: "asyncio.Queue[AnyFrame | None]", *, is_bulk: bool
    ) -> None:
        while (frame := await queue.get()) is not None:
            await self._link.send(encode_frame(frame), is_bulk=is_bulk)
        # The peer ends the link when it has read all that was said.
        await asyncio.sleep(FAREWELL_SECONDS)
        await self._link.aclose()

    async def _keep_time(self) -> None:
        while True:
            self._timing.clear()
            wake_ms = self.session.wake_ms()
            wait = None
            if wake_ms is not None:
                wait = max(0.0, (wake_ms - self._now_ms()) / 1000)
            try:
                async with asyncio.timeout(wait):
                    await self._timing.wait()
            except TimeoutError:
                self._perform(self.session.expire(self._now_ms()))

    def _perform(self, actions: Sequence[Action]) -> None:
        if self._tasks is None:
            return
        for action in actions:
            self._do(action)
        self._timing.set()

    def _do(self, action: Action) -> None:
        match action:
            case Send(frame, is_bulk):
                (self._bulk if is_bulk else self._control).put_nowait(frame)
            case Load():
                self._job(self._load(action))
            case Keep(envelopes):
                self._job(self._keep(envelopes))
            case KeepPart(part):
                self._job(self._keep_part(part))
            case LoadPart(number):
                self._job(self._load_part(number))
            case LoadStatements(hashes):
                self._job(self._load_statements(hashes))
            case KeepStatements(encoded):
                self._job(self._keep_statements(encoded))
            case AskCheckpoint():
                self._port.ask_checkpoint()
                self.update(())
            case Acknowledged() | Compared() | Moved() | Stalled() | Received():
                self._port.tell(action)
            case Hear(frame):
                self._port.hear(frame)
            case End(Ending.GOODBYE):
                self._job(self._link.aclose())
            case End(cause):
                self.ending = self.ending or cause
                self._control.put_nowait(None)
            case _:
                assert_never(action)

    def _job(self, job: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            job.close()
        else:
            self._tasks.create_task(job)

    async def _load(self, load: Load) -> None:
        found = await self._port.load(load.device, load.after, load.max_bytes)
        self._perform(self.session.loaded(load.device, found, self._now_ms()))

    async def _keep(self, envelopes: Sequence[bytes]) -> None:
        await self._port.keep(envelopes)
        self.update(())
        self._perform(self.session.kept(self._now_ms()))

    async def _keep_part(self, part: Part) -> None:
        try:
            await self._port.keep_part(part)
        except PeerError:
            self._perform([End(Ending.OUT_OF_PLACE)])
            return
        self.update(())
        self._perform(self.session.kept(self._now_ms(), part=part))

    async def _load_part(self, number: int) -> None:
        part = await self._port.load_part(number)
        self._perform(self.session.part_loaded(part, self._now_ms()))

    async def _load_statements(self, hashes: frozenset[bytes]) -> None:
        found = await self._port.load_statements(hashes)
        self._perform(self.session.statements_loaded(found))

    async def _keep_statements(self, encoded: Sequence[bytes]) -> None:
        await self._port.keep_statements(encoded)
        self.update(())
