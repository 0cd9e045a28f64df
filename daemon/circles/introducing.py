"""Why a member's device keeps silent: it may not know this one, or not any more.

Who was removed while its devices were off is met with silence by all. So a device that
is met with silence shows its card, sealed to the device that it looks for, and is shown
in return the statements that it lacks. Specification: docs/protocol/signalling.md,
"Introduction in a circle".

Rule: cards and statements prove themselves, whoever brings them; only who is or was a
member is answered, and who was removed is shown nothing that came after that.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Final, Protocol

import msgspec

from crdt.circle_card import MAX_CARD_BYTES, Card, decode_card, verify_card
from crdt.circle_items import ItemKind
from crdt.circle_keys import CircleIdentity
from crdt.circle_roster import is_present, person
from crdt.errors import MalformedError, PeerError, StoreError
from crdt.ids import DeviceId
from crdt.keys import open_sealed, seal_to
from daemon.circles.directory import KnownDevice
from daemon.circles.records import CircleRecords
from daemon.mesh.showing import (
    COMPLAINT,
    MAX_HASHES,
    Heads,
    decode_answered,
    lacking,
)

_ASKED: Final = b"fractality/1 circle introduction\0"
_ANSWERED: Final = b"fractality/1 circle introduction answer\0"


class Asked(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who asks, and up to where it knows the roster."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    card: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CARD_BYTES)]
    heads: Heads


class Device(Protocol):
    """What is asked of how this device takes part."""

    @property
    def card(self) -> Card | None:
        """Its card, once it has one."""

    @property
    def is_paused(self) -> bool:
        """Whether it exchanges nothing."""


class Introductions:
    """Asks and answers for one device in one circle."""

    def __init__(
        self,
        who: CircleIdentity,
        records: CircleRecords,
        device: Device,
        known: Callable[[DeviceId], KnownDevice | None],
    ) -> None:
        """Take who is known in the circle."""
        self._who = who
        self._records = records
        self._device = device
        self._known = known

    async def question(self, peer: DeviceId) -> bytes | None:
        """Return what to show a device that keeps silent; None if it is unknown."""
        known, card = self._known(peer), self._device.card
        if known is None or card is None or self._device.is_paused:
            return None
        heads = self._records.roster.heads[:MAX_HASHES]
        encoded = msgspec.msgpack.encode(Asked(1, card.content, heads))
        return seal_to(known.hpke_key, self._info(_ASKED, peer), encoded)

    async def take(self, sealed: bytes) -> None:
        """Take in the answer to what was shown. Raises a `PeerError`."""
        plain = self._opened(_ANSWERED, sealed)
        statements = decode_answered(plain).statements
        if statements:
            with suppress(StoreError):  # shown again when it dials again
                await self._records.keep(ItemKind.STATEMENT, statements)

    async def answer(self, sealed: bytes) -> bytes | None:
        """Return what a device may lack that shows its card, sealed to it."""
        try:
            asked = _asked(self._opened(_ASKED, sealed))
            card = decode_card(asked.card)
            is_of_circle = card.circle == self._who.circle
            member = person(self._records.roster, card.author) if is_of_circle else None
            if member is None or not self._may_answer():
                return None
            verify_card(card)
            if not member.is_removed:
                await self._records.keep(ItemKind.CARD, [asked.card])
        except (PeerError, StoreError):
            return None
        encoded = lacking(
            self._records.roster.statements,
            frozenset(asked.heads),
            member.device if member.is_removed else None,
        )
        return seal_to(card.hpke_key, self._info(_ANSWERED, card.device), encoded)

    def _may_answer(self) -> bool:
        roster, author = self._records.roster, self._who.author_key
        return is_present(roster, author) and not self._device.is_paused

    def _opened(self, label: bytes, sealed: bytes) -> bytes:
        own = self._who.device
        return open_sealed(own.hpke_seed, self._info(label, own.device), sealed)

    def _info(self, label: bytes, recipient: DeviceId) -> bytes:
        return label + self._who.circle + recipient


def _asked(encoded: bytes) -> Asked:
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(COMPLAINT) from None


_DECODER: Final = msgspec.msgpack.Decoder(Asked)
