"""Cards: which devices speak for a member of a circle, and where they are.

Specification: docs/protocol/circle-card.md. Rules of this file:

1. One content has one encoding, so that the hash of the record names the card.
2. What is checked here needs the card alone: form, limits, and apart from these the
   two signatures, so that whoever knows the circle can ask between them whether the
   card is of this circle and by somebody who is in it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.circle_items import Item, ItemKind, ItemName
from crdt.errors import InvalidError, MalformedError
from crdt.identity import Identity
from crdt.ids import AuthorKey, CircleId, DeviceId, has_control_characters
from crdt.keys import (
    SIGNATURE_BYTES,
    Domain,
    device_id,
    verify_signature,
)
from crdt.statement_kinds import Hash, PublicKey

VERSION: Final = 1
MAX_ADDRESS_BYTES: Final = 255
MAX_ADDRESSES: Final = 8
MAX_CARD_DEVICES: Final = 16
"""Devices of one member whose cards are kept: those of the largest sequences."""
MAX_SEQUENCE: Final = (1 << 64) - 1
MAX_CARD_BYTES: Final = 2_332
"""What the largest card has, with its signatures."""
_SIGNATURES_BYTES: Final = 2 * SIGNATURE_BYTES

_Address: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_ADDRESS_BYTES)
]


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    circle: Hash
    author: PublicKey
    device_key: PublicKey
    hpke_key: PublicKey
    sequence: Annotated[int, msgspec.Meta(ge=0)]
    addresses: Annotated[tuple[_Address, ...], msgspec.Meta(max_length=MAX_ADDRESSES)]


@dataclass(frozen=True, slots=True)
class Card:
    """A card that decodes; `verify_card` tells whether who it names signed it."""

    id: bytes
    """SHA-256 of the record."""
    circle: CircleId
    author: AuthorKey
    device_key: bytes
    hpke_key: bytes
    sequence: int
    """When it was made, in milliseconds of Unix time; the largest counts."""
    addresses: tuple[str, ...]
    content: bytes
    """The record with both signatures, as it is kept and handed on."""

    @property
    def device(self) -> DeviceId:
        """Id of the device in this circle."""
        return device_id(self.device_key)

    @property
    def item(self) -> Item:
        """The card as an item of its circle."""
        return Item(ItemKind.CARD, ItemName(0, self.id), self.content)


def make_card(
    circle: CircleId,
    author: Identity,
    device: Identity,
    sequence: int,
    addresses: Iterable[str],
) -> Card:
    """Return the card of a device of a member: both as they are in this circle.

    Raises `InvalidError` for an address that is none or too many of them.
    """
    record = _Record(
        version=VERSION,
        circle=circle,
        author=author.public_key,
        device_key=device.public_key,
        hpke_key=device.hpke_key,
        sequence=sequence,
        addresses=tuple(addresses),
    )
    if len(record.addresses) > MAX_ADDRESSES:
        raise InvalidError("addresses", f"must be at most {MAX_ADDRESSES}")
    if not all(map(_is_address, record.addresses)):
        detail = f"must be visible text of at most {MAX_ADDRESS_BYTES} bytes"
        raise InvalidError("addresses", detail)
    encoded = msgspec.msgpack.encode(record)
    return decode_card(
        encoded
        + author.signing_key().sign(Domain.CIRCLE_CARD, encoded)
        + device.signing_key().sign(Domain.CIRCLE_CARD, encoded)
    )


def decode_card(content: bytes) -> Card:
    """Return the card that `content` is the only valid encoding of, or says it is.

    Its signatures are for `verify_card`. Raises `MalformedError`.
    """
    if not _SIGNATURES_BYTES < len(content) <= MAX_CARD_BYTES:
        detail = "A card of a device is shorter or longer than allowed; it was dropped."
        raise MalformedError(detail)
    encoded = content[:-_SIGNATURES_BYTES]
    try:
        record = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "A card of a device does not follow its format; it was dropped."
        raise MalformedError(detail) from None
    is_canonical = (
        record.sequence <= MAX_SEQUENCE and msgspec.msgpack.encode(record) == encoded
    )
    if not is_canonical or not all(map(_is_address, record.addresses)):
        detail = "A card of a device is not in its only valid encoding; it was dropped."
        raise MalformedError(detail)
    return Card(
        id=hashlib.sha256(encoded).digest(),
        circle=CircleId(record.circle),
        author=AuthorKey(record.author),
        device_key=record.device_key,
        hpke_key=record.hpke_key,
        sequence=record.sequence,
        addresses=record.addresses,
        content=content,
    )


def verify_card(card: Card) -> None:
    """Raise `ForgedError` unless both the member and the device signed the card."""
    encoded = card.content[:-_SIGNATURES_BYTES]
    signatures = card.content[-_SIGNATURES_BYTES:]
    for key, signature in (
        (card.author, signatures[:SIGNATURE_BYTES]),
        (card.device_key, signatures[SIGNATURE_BYTES:]),
    ):
        verify_signature(Domain.CIRCLE_CARD, key, signature, encoded)


def newest(cards: Iterable[Card]) -> tuple[Card, ...]:
    """Return the cards that count, by author and age, newest first.

    Of a device of an author that of the largest sequence, of equal ones that of the
    smaller id; of an author those of the 16 devices whose cards are newest so.
    """
    of_device = dict[tuple[AuthorKey, DeviceId], Card]()
    for card in cards:
        slot = card.author, card.device
        of_device[slot] = min(of_device.get(slot, card), card, key=_age)
    of_author = defaultdict[AuthorKey, list[Card]](list)
    for card in of_device.values():
        of_author[card.author].append(card)
    return tuple(
        card
        for author in sorted(of_author)
        for card in sorted(of_author[author], key=_age)[:MAX_CARD_DEVICES]
    )


def _age(card: Card) -> tuple[int, bytes]:
    return -card.sequence, card.id


def _is_address(text: str) -> bool:
    is_short = 0 < len(text.encode()) <= MAX_ADDRESS_BYTES
    return is_short and not has_control_characters(text)


_DECODER: Final = msgspec.msgpack.Decoder(_Record)
