"""Tickets: the text by which a person is invited into a circle.

Specification: docs/protocol/circle-joining.md. Golden bytes:
tests/vectors/circle_joining.json. Rules of this file:

1. A ticket is a secret: whoever has it can join as long as it is good. It is never
   printed but where a person asks for it.
2. It says what is joined before anybody is asked: the statement that founded the circle
   is in it, and names the circle by its hash.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.errors import InvalidError
from crdt.ids import CircleId, DeviceId
from crdt.keys import KEY_BYTES, Confidential, device_id

PREFIX: Final = "fractality-circle-"
SECRET_BYTES: Final = 16
CHECKSUM_BYTES: Final = 4
MAX_TICKET_CHARACTERS: Final = 8_192
MAX_FOUNDING_BYTES: Final = 2_048
MAX_TICKET_ADDRESSES: Final = 8
MAX_ADDRESS_BYTES: Final = 255
_VERSION: Final = 1
_CHECKSUM_LABEL: Final = b"fractality/1 circle ticket\0"

_Key: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]


class Ticket(
    Confidential, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True
):
    """What a person needs to join a circle."""

    version: Literal[1] = _VERSION
    founding: Annotated[
        bytes, msgspec.Meta(min_length=1, max_length=MAX_FOUNDING_BYTES)
    ]
    """The statement that founded the circle."""
    public_key: _Key
    """With which the inviting device signs in this circle."""
    hpke_key: _Key
    """To which questions are sealed."""
    secret: Annotated[
        bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)
    ]
    expires_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    """By the inviter's clock, in milliseconds since 1970."""
    addresses: Annotated[
        tuple[
            Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ADDRESS_BYTES)],
            ...,
        ],
        msgspec.Meta(max_length=MAX_TICKET_ADDRESSES),
    ]
    """Where the inviting device may be reached, those to try first in front."""

    @property
    def circle(self) -> CircleId:
        """The circle that is joined."""
        return CircleId(hashlib.sha256(self.founding).digest())

    @property
    def inviter(self) -> DeviceId:
        """Id of the inviting device in this circle."""
        return device_id(self.public_key)


def secret_hash(secret: bytes) -> bytes:
    """Return under what the inviter remembers a ticket: its secret is not kept."""
    return hashlib.sha256(b"fractality/1 circle invitation\0" + secret).digest()


def reachable(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return those addresses that a ticket can hold."""
    fitting = (each for each in addresses if 0 < len(each) <= MAX_ADDRESS_BYTES)
    return tuple(fitting)[:MAX_TICKET_ADDRESSES]


def format_ticket(ticket: Ticket) -> str:
    """Return the text that a person hands to another."""
    encoded = msgspec.msgpack.encode(ticket)
    return PREFIX + _digits(encoded + _checksum(encoded))


def parse_ticket(text: str) -> Ticket:
    """Return the ticket that a person pasted; case and white space do not matter.

    Raises `InvalidError` with a sentence for that person.
    """
    if len(text) > MAX_TICKET_CHARACTERS:
        raise InvalidError("ticket", _HOW_IT_LOOKS)
    plain = "".join(text.split()).lower()
    if not plain.startswith(PREFIX):
        raise InvalidError("ticket", _HOW_IT_LOOKS)
    encoded = _unsummed(plain.removeprefix(PREFIX))
    try:
        ticket = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidError("ticket", _complaint(encoded)) from None
    if msgspec.msgpack.encode(ticket) != encoded:
        raise InvalidError("ticket", _complaint(encoded))
    return ticket


def _unsummed(digits: str) -> bytes:
    """Return what stands before the checksum, or raise `InvalidError`."""
    try:
        summed = base64.b32decode(digits.upper() + "=" * (-len(digits) % 8))
    except (binascii.Error, ValueError):
        raise InvalidError("ticket", _CUT) from None
    encoded, checksum = summed[:-CHECKSUM_BYTES], summed[-CHECKSUM_BYTES:]
    if _checksum(encoded) != checksum or _digits(summed) != digits:
        raise InvalidError("ticket", _CUT)
    return encoded


def _digits(summed: bytes) -> str:
    """Return the digits of base32 that stand for bytes, without padding."""
    return base64.b32encode(summed).decode().rstrip("=").lower()


def _checksum(encoded: bytes) -> bytes:
    return hashlib.sha256(_CHECKSUM_LABEL + encoded).digest()[:CHECKSUM_BYTES]


def _complaint(encoded: bytes) -> str:
    is_array = b"\x90" <= encoded[:1] <= b"\x9f"
    if is_array and _VERSION < int.from_bytes(encoded[1:2]) < 0x80:
        return "is of a later version: update Fractality to join by it"
    return _HOW_IT_LOOKS


_HOW_IT_LOOKS: Final = f"is none; a ticket begins with {PREFIX}"
_CUT: Final = "is not complete or was changed on its way; copy all of it"
_DECODER: Final = msgspec.msgpack.Decoder(Ticket)
