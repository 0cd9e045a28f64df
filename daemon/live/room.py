"""One body that somebody edits: its clients, their updates on the way to the disk.

Rules of this file:

1. Nothing is shown to a client before it is durable here. An update goes out to every
   client when its commit is told, also to the one that made it: what comes back is
   safe.
2. The first update after a pause is committed at once; what comes while a commit is on
   its way, or within a pause after it, shares the next one.
3. What waits is bounded: who sends more than the disk takes is not read from.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from crdt.commands import EditBody
from crdt.errors import MalformedError, NotFoundError, RefusedError, StoreError
from crdt.execution import Outcome
from crdt.ids import NodeKey
from crdt.yjs_update import EMPTY_UPDATE
from daemon.faults import places
from daemon.live.awareness import Awareness, Source
from daemon.live.editor import (
    FAULT,
    MALFORMED,
    NO_NODE,
    NOT_STORED,
    REFUSED,
    Editor,
    Ending,
)
from daemon.live.y_protocol import (
    Missing,
    Presence,
    PresenceQuery,
    Presences,
    Refusal,
    StateVector,
    Update,
    decode_message,
    encode_message,
    encode_presences,
)

logger = logging.getLogger(__name__)

PAUSE_MS: Final = 50
"""Between two commits of a body: twenty flushes a second, however fast one types."""
_SHARE: Final = 2
"""A body that takes long to store waits so many times as long before the next time."""
_EXPIRE_SECONDS: Final = 5.0
_LOST: Final = (REFUSED, NOT_STORED)
MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyStore:
    """What a room needs of the store."""

    edit: Callable[[EditBody], Awaitable[Outcome]]
    """Carries a command out durably, or raises why it was refused."""
    missing: Callable[[NodeKey, bytes], Awaitable[tuple[bytes, bytes]]]
    """From a state vector to what such a document lacks, and the state of the body."""


@dataclass(frozen=True, slots=True)
class _Edit:
    editor: Editor
    update: bytes


@dataclass(eq=False, slots=True)
class Room:
    """The clients of one body."""

    key: NodeKey
    store: BodyStore
    monotonic_ms: Callable[[], int]
    carry: Callable[[NodeKey, bytes], None]
    """Called with each awareness update that clients here have made."""
    editors: set[Editor] = field(default_factory=set)
    awareness: Awareness = field(default_factory=Awareness)
    _waiting: list[_Edit] = field(default_factory=list)
    _waiting_bytes: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _taken: asyncio.Event = field(default_factory=asyncio.Event)
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    def join(self, editor: Editor) -> None:
        """Let a client take part; who is there is shown to it."""
        self.editors.add(editor)
        if present := self.awareness.present():
            editor.send(encode_message(Presences(present)))

    def leave(self, editor: Editor) -> None:
        """Let a client go, and with the last one the room."""
        self.editors.discard(editor)
        self._show(self.awareness.leave(editor, self.monotonic_ms()))
        if not self.editors:
            self._left.set()
            self._arrived.set()

    async def receive(self, editor: Editor, data: bytes) -> None:
        """Do what a client's message asks, or let the client go.

        Returns when the next message may come.
        """
        try:
            message = decode_message(data)
            match message:
                case StateVector(encoded=state):
                    await self._answer(editor, state)
                case Missing(update=update) | Update(update=update):
                    await self._submit(editor, update)
                case Presences(presences=told):
                    now_ms = self.monotonic_ms()
                    self._show(self.awareness.learn(told, editor, now_ms))
                case PresenceQuery():
                    present = self.awareness.present()
                    editor.send(encode_message(Presences(present)))
                case Refusal():
                    editor.end(MALFORMED)
        except MalformedError:
            editor.end(MALFORMED)

    def show_update(self, update: bytes) -> None:
        """Send a durable update to everybody."""
        self._send(encode_message(Update(update)))

    def hear(self, presences: list[Presence], source: Source) -> None:
        """Take in presences from elsewhere."""
        news = self.awareness.learn(presences, source, self.monotonic_ms())
        self._show(news, is_own=False)

    def forget(self, source: Source) -> None:
        """Let the clients elsewhere of which `source` told be gone."""
        news = self.awareness.leave(source, self.monotonic_ms())
        self._show(news, is_own=False)

    def own_presences(self) -> list[Presence]:
        """Return the presences of the clients that are connected here."""
        return self.awareness.told_by(self.editors)

    def end(self, ending: Ending) -> None:
        """Let everybody go."""
        for editor in self.editors:
            editor.end(ending)

    async def run(self) -> None:
        """Commit what comes until the last client has left and all is stored."""
        try:
            while self._waiting or not self._left.is_set():
                await self._wait(self._arrived, _EXPIRE_SECONDS)
                self._show(self.awareness.expire(self.monotonic_ms()))
                if self._waiting:
                    started_ms = self.monotonic_ms()
                    await self._commit(self._take())
                    took_ms = self.monotonic_ms() - started_ms
                    pause_ms = max(PAUSE_MS - took_ms, _SHARE * took_ms)
                    await self._wait(self._left, pause_ms / 1000)
        except Exception as error:  # noqa: BLE001  # a bug in one room ends only that
            logger.error("a body could not be kept live: %s", places(error))  # noqa: TRY400  # no content
            self.end(FAULT)

    async def _answer(self, editor: Editor, state_vector: bytes) -> None:
        try:
            update, state = await self.store.missing(self.key, state_vector)
        except NotFoundError:
            editor.end(NO_NODE)
        except StoreError:
            editor.end(NOT_STORED)
        else:
            editor.send(encode_message(Missing(update)))
            editor.send(encode_message(StateVector(state)))

    async def _submit(self, editor: Editor, update: bytes) -> None:
        if update == EMPTY_UPDATE:
            return
        while self._waiting and (
            len(self._waiting) >= MAX_WAITING
            or self._waiting_bytes + len(update) > MAX_WAITING_BYTES
        ):
            self._taken.clear()
            await self._taken.wait()
        self._waiting.append(_Edit(editor, update))
        self._waiting_bytes += len(update)
        self._arrived.set()

    def _take(self) -> list[_Edit]:
        edits, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._arrived.clear()
        self._taken.set()
        return edits

    async def _commit(self, edits: list[_Edit]) -> None:
        # What follows a lost edit would wait for it for ever: it is sent again later.
        edits = [each for each in edits if each.editor.ending not in _LOST]
        if not edits:
            return
        updates = tuple(each.update for each in edits)
        try:
            await self.store.edit(EditBody(key=self.key, updates=updates))
        except NotFoundError:
            self.end(NO_NODE)
        except RefusedError as refusal:
            if len(edits) > 1:
                # One of them is at fault: alone, each is judged for itself.
                for each in edits:
                    await self._commit([each])
            else:
                why = encode_message(Refusal(str(refusal)))
                edits[0].editor.end(REFUSED, why)
        except StoreError:
            for each in edits:
                each.editor.end(NOT_STORED)

    def _show(self, news: list[Presence], *, is_own: bool = True) -> None:
        if news:
            self._send(encode_message(Presences(news)))
            if is_own:
                self.carry(self.key, encode_presences(news))

    def _send(self, message: bytes) -> None:
        for editor in self.editors:
            editor.send(message)

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        waiting: Awaitable[bool] = event.wait()
        try:
            await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            return
