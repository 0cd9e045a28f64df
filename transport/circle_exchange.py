"""Carries one session of a circle over one link: the only place that waits for either.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. The session decides, the port stores, the link sends; nothing is decided here.
2. What the store is asked goes to it in order, readings beside writings.
3. Everything that waits is bounded: payloads by the credit of the session, small frames
   by the carriage.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from crdt.circle_items import ItemKind, ItemName
from crdt.errors import DiskFullError, MalformedError, PeerError
from transport.carriage import Carriage
from transport.circle_actions import (
    CircleAction,
    CircleEnd,
    CircleNews,
    End,
    Keep,
    Load,
    Report,
    ResultsDiffer,
    Seek,
    Send,
    TakeNames,
)
from transport.circle_frames import CircleState, UnknownVersionError, decode, encode
from transport.circle_session import CircleSession
from transport.link import Link
from transport.sorted_names import SortedNames


@dataclass(frozen=True, slots=True)
class Loaded:
    """A payload, and what it left over."""

    payload: bytes
    """At most `MAX_PAYLOAD_BYTES`; empty if none of the items is there any more."""
    rest: Sequence[ItemName]
    """Those names asked for that the payload had no room for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the items of a payload."""

    names: Sequence[ItemName]
    """Of all items in it, whatever became of them."""
    new: int
    """How many of them were new and are durable now."""
    refused: int
    """How many were not taken: this device will not hold them, or not yet."""


class CirclePort(Protocol):
    """What a session needs of a circle's records and of who composes both."""

    def hello(self) -> CircleState:
        """Return how this device stands.

        With how many names each set has, and the sum of their ids; and the hash of the
        consensus of exactly these sets, if it is known.
        """

    async def names(self, kind: ItemKind) -> SortedNames:
        """Return the names of a set in order; build them off the loop if many."""

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        """Return those that this device neither holds nor refuses for good."""

    async def load(self, kind: ItemKind, names: Sequence[ItemName]) -> Loaded:
        """Return a payload with some of these items, sealed for the circle.

        Names of items that are gone are passed over. The port chooses the order:
        statements go parents first.
        """

    async def keep(self, kind: ItemKind, payload: bytes) -> Kept:
        """Open, check and store the items of a payload; what is new is durable then.

        Raises `DiskFullError`, or `PeerError` for what no honest peer sends. New items
        are told to all sessions by `CircleExchange.changed`, before or after return.
        """

    def results_differ(self, here: bytes, there: bytes) -> None:
        """Take note that equal sets gave two results: a fault, to be shown."""

    def report(self, news: CircleNews) -> None:
        """Take what is new about the session."""


class CircleExchange:
    """One session on one link, from hello to the end."""

    def __init__(
        self,
        session: CircleSession,
        link: Link,
        port: CirclePort,
        clock_ms: Callable[[], int],
    ) -> None:
        self._session = session
        self._port = port
        self._clock_ms = clock_ms
        """A clock that does not step."""
        self._carriage: Carriage[CircleEnd] = Carriage(link, clock_ms)
        self._writings: asyncio.Queue[Keep] = asyncio.Queue()
        self._readings: asyncio.Queue[TakeNames | Load] = asyncio.Queue()

    async def run(self) -> CircleEnd:
        """Carry the session to its end; return why it ended.

        The link is closed then. Raises `LinkClosedError` if that came first.
        """
        return await self._carriage.run(
            lambda: self._perform(self._session.start()),
            self._carriage.receive(self._take),
            self._write(),
            self._read(),
            self._carriage.keep_time(lambda: self._session.due_ms, self._expire),
        )

    def changed(
        self, kind: ItemKind, names: Sequence[ItemName], *, is_own: bool
    ) -> None:
        """Take which items are new here, made here or kept from any device.

        Call it once for all sessions of the circle when they are durable. Where
        something only went away, or the result or the pause changed, `names` is empty.
        """
        state, now_ms = self._port.hello(), self._clock_ms()
        self._perform(self._session.changed(state, kind, names, now_ms, is_own=is_own))

    def recheck(self) -> None:
        """Compare again soon what was refused: the cause may be gone."""
        self._perform(self._session.recheck(self._clock_ms()))

    def stop(self, cause: CircleEnd = CircleEnd.STOPPED) -> None:
        """End the session; `run` returns when the peer has been told."""
        self._perform(self._session.end(cause))

    def _perform(self, actions: Iterable[CircleAction]) -> None:
        """See to what the session decided."""
        for action in actions:
            self._perform_one(action)
        self._carriage.moved()
        if self._carriage.clear_if_full():
            self.stop(CircleEnd.FLOODED)

    def _perform_one(self, action: CircleAction) -> None:
        match action:
            case Send(frame, is_bulk):
                self._carriage.put(encode(frame), is_bulk=is_bulk)
            case Keep():
                self._writings.put_nowait(action)
            case TakeNames() | Load():
                self._readings.put_nowait(action)
            case Seek(kind, names):
                lacking = self._port.lacking(kind, names)
                self._perform(self._session.sought(kind, lacking, self._clock_ms()))
            case Report(news):
                self._port.report(news)
            case ResultsDiffer(here, there):
                self._port.results_differ(here, there)
            case End(cause):
                self._carriage.end(cause)
            case _:
                assert_never(action)

    def _take(self, encoded: bytes) -> None:
        try:
            frame = decode(encoded)
        except UnknownVersionError:
            self.stop(CircleEnd.VERSION)
        except MalformedError:
            self.stop(CircleEnd.MALFORMED)
        else:
            if frame is not None:
                self._perform(self._session.receive(frame, self._clock_ms()))

    async def _write(self) -> None:
        while True:
            writing = await self._writings.get()
            try:
                self._perform(await self._kept(writing))
            except DiskFullError:
                self.stop(CircleEnd.DISK_FULL)
            except PeerError:
                self.stop(CircleEnd.BROKEN_ITEM)

    async def _kept(self, writing: Keep) -> list[CircleAction]:
        kind, size = writing.kind, len(writing.payload)
        kept = await self._port.keep(kind, writing.payload)
        state, now_ms = self._port.hello(), self._clock_ms()
        return self._session.kept(
            state,
            kind,
            size,
            kept.names,
            now_ms,
            new=kept.new,
            refused=kept.refused,
        )

    async def _read(self) -> None:
        while True:
            match await self._readings.get():
                case TakeNames(kind):
                    taken = await self._port.names(kind)
                    found = self._session.names_taken(taken, self._clock_ms())
                case Load(kind, names):
                    got = await self._port.load(kind, names)
                    payload, rest = got.payload, got.rest
                    found = self._session.loaded(payload, rest, self._clock_ms())
            self._perform(found)

    def _expire(self) -> None:
        self._perform(self._session.expire(self._clock_ms()))
