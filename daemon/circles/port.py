"""The records of a circle as a session with one device uses them.

Specification: docs/protocol/circle-sync.md, "Payloads". Rules of this file:

1. Statements prove themselves and travel as they are; all else is sealed under the
   circle's key, though the link is sealed as well.
2. Whoever is no member any more is given statements, so that they learn of it, and
   nothing else; nor is anything taken from them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_seal import (
    OVERHEAD_BYTES,
    SALT_BYTES,
    MissingEpochError,
    open_items,
    seal_items,
)
from crdt.errors import ConflictError, MalformedError
from crdt.ids import DeviceId
from daemon.circles.records import CircleRecords
from daemon.circles.refusals import Refusal
from transport.circle_actions import CircleNews
from transport.circle_exchange import Kept, Loaded
from transport.circle_frames import MAX_PAYLOAD_BYTES, CircleState
from transport.sorted_names import SortedNames

MAX_ITEMS: Final = 1024
_LOADED: Final = 256
"""So many are read for one payload: more hardly ever fit."""
_ROOM_BYTES: Final = MAX_PAYLOAD_BYTES - OVERHEAD_BYTES - 8
_HEADER_BYTES: Final = 5
"""Of each item within a payload."""
_Batch = Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]
_DECODER: Final = msgspec.msgpack.Decoder(_Batch)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whoever composes the sessions of a circle."""

    state: Callable[[], CircleState]
    """How this device stands."""
    may_have: Callable[[DeviceId, ItemKind], bool]
    """Whether a device may be given items of a kind, or bring any."""
    results_differ: Callable[[DeviceId, bytes, bytes], None]
    report: Callable[[DeviceId, CircleNews], None]
    randomness: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RecordsOfPeer:
    """Joins one session to this device's records."""

    peer: DeviceId
    records: CircleRecords
    around: Surroundings

    def hello(self) -> CircleState:
        """Return how this device stands."""
        return self.around.state()

    async def names(self, kind: ItemKind) -> SortedNames:
        """Return the names of a set in order."""
        return await asyncio.to_thread(SortedNames.of, self.records.names(kind))

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        """Return those that this device neither holds nor refuses for good."""
        return self.records.lacking(kind, names)

    async def load(self, kind: ItemKind, names: Sequence[ItemName]) -> Loaded:
        """Return a payload with some of these items, sealed for the circle."""
        if not self.around.may_have(self.peer, kind):
            return Loaded(b"", ())
        ordered = self._ordered(kind, names)
        asked = [each.id for each in ordered[:_LOADED]]
        items = await self.records.load(kind, asked)
        taken = _fitting(items)
        beyond = [each.name for each in items[len(taken) :]]
        try:
            payload = self._payload(kind, taken)
        except ConflictError:
            # Without the present key nothing can be sealed; it comes, and then it is.
            return Loaded(b"", ())
        return Loaded(payload, [*beyond, *ordered[_LOADED:]])

    async def keep(self, kind: ItemKind, payload: bytes) -> Kept:
        """Open, check and store the items of a payload; what is new is durable then."""
        if not self.around.may_have(self.peer, kind):
            return Kept((), 0, 1)
        try:
            plain = self._opened(kind, payload)
        except MissingEpochError:
            # It is offered again when the key has come.
            return Kept((), 0, 1)
        try:
            contents = _DECODER.decode(plain)
        except (msgspec.DecodeError, UnicodeDecodeError):
            detail = "What a member's device gave is no batch of items."
            raise MalformedError(detail) from None
        kept = await self.records.keep(kind, contents, self.peer)
        # What is known is neither new nor refused.
        refused = kept.refused.total() - kept.refused[Refusal.DUPLICATE]
        return Kept(kept.names, len(kept.new), refused)

    def results_differ(self, here: bytes, there: bytes) -> None:
        """Take note that equal sets gave two results."""
        self.around.results_differ(self.peer, here, there)

    def report(self, news: CircleNews) -> None:
        """Take what is new about the session."""
        self.around.report(self.peer, news)

    def _ordered(self, kind: ItemKind, names: Sequence[ItemName]) -> Sequence[ItemName]:
        """Return statements parents first, all else as it is."""
        if kind is not ItemKind.STATEMENT or len(names) < 2:
            return names
        statements = self.records.roster.statements
        places = {each.hash: place for place, each in enumerate(statements)}
        last = len(places)
        return sorted(names, key=lambda each: places.get(each.id, last))

    def _payload(self, kind: ItemKind, items: Sequence[Item]) -> bytes:
        if not items:
            return b""
        plain = msgspec.msgpack.encode([each.content for each in items])
        if kind is ItemKind.STATEMENT:
            return plain
        return seal_items(
            self.records.keys,
            self.records.circle,
            plain,
            self.around.randomness(SALT_BYTES),
        )

    def _opened(self, kind: ItemKind, payload: bytes) -> bytes:
        if kind is ItemKind.STATEMENT:
            return payload
        return open_items(self.records.keys, self.records.circle, payload)


def _fitting(items: Sequence[Item]) -> Sequence[Item]:
    """Return as many as fit a payload: at least one."""
    size = 0
    for place, each in enumerate(items):
        size += len(each.content) + _HEADER_BYTES
        if place and size > _ROOM_BYTES:
            return items[:place]
    return items
