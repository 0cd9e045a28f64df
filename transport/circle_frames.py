"""Frames of a circle: what two devices of its members may say, typed and limited.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. A frame is a version byte, then one MessagePack array that begins with its kind.
2. What comes later may add elements at the end of an array: readers pass over those
   that they do not know, and every element added has a default.
3. A kind from `FIRST_IGNORABLE_KIND` to 255 that is unknown is passed over (`decode`
   gives None); an unknown kind below it has to be understood and ends the session.
"""

from enum import IntEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.circle_items import ItemKind
from crdt.errors import MalformedError
from crdt.ids import CircleId
from transport.frames import may_be_ignored

VERSION: Final = 1
FIRST_IGNORABLE_KIND: Final = 64
MAX_PAYLOAD_BYTES: Final = 65 * 1024
"""64 KiB, or one statement of that size and what is around it."""
MAX_FRAME_BYTES: Final = MAX_PAYLOAD_BYTES + 1024
MAX_NAMES: Final = 1024
MAX_RANGES: Final = 4096
ID_BYTES: Final = 32
KEY_BYTES: Final = 4 + ID_BYTES
MAX_RULE_BYTES: Final = 32
MAX_COUNT: Final = 2**53 - 1


class CircleFarewell(IntEnum):
    """What a device that ends a session tells the other, for people to read."""

    CLOSING = 0
    REPLACED = 1
    """Another session of the same two devices goes on."""
    REMOVED = 2
    """The member whose device is told this was removed, or left."""
    BROKEN_RULES = 3
    DISK_FULL = 4
    STALLED = 5
    VERSION = 6
    FOREIGN_CIRCLE = 7


_Bytes8: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Key: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
_Bound: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=KEY_BYTES)]
_Packed: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=MAX_FRAME_BYTES)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Version: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Rule: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_RULE_BYTES)]
_Keys: TypeAlias = Annotated[
    tuple[_Key, ...], msgspec.Meta(min_length=1, max_length=MAX_NAMES)
]


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    pass


class SetSummary(_Frame, frozen=True):
    """A set in few bytes: equal for two sets iff they are equal."""

    count: _Count
    total: _Bytes32
    """Sum of all ids, modulo 2^256, big-endian."""


class CircleState(_Frame, frozen=True):
    """How the sender stands: its four sets in order, and what it computed of them."""

    sets: tuple[SetSummary, SetSummary, SetSummary, SetSummary]
    result: _Bytes32 | None
    """Hash of the consensus of exactly these sets, None if it is not computed."""
    is_paused: bool
    """Its person paused it: it neither gives nor takes."""


class Split(_Frame, frozen=True, tag=0):
    """Adjoining ranges, each with the fingerprint of what the sender has there."""

    lower: _Bound
    bounds: _Packed
    """The upper bound of each range, each by what it adds to the one before."""
    fingerprints: _Packed
    """16 bytes of each range."""


class Listed(_Frame, frozen=True, tag=1):
    """The ids of all that the sender has in a range, or their last bytes."""

    lower: _Bound
    upper: _Bound
    id_bytes: Annotated[int, msgspec.Meta(ge=8, le=32)]
    ids: _Packed


class Wanted(_Frame, frozen=True, tag=2):
    """Of the ids that were listed in a range, those that the sender lacks."""

    lower: _Bound
    upper: _Bound
    id_bytes: Annotated[int, msgspec.Meta(ge=8, le=32)]
    ids: _Packed


Range: TypeAlias = Split | Listed | Wanted


class Hello(_Frame, frozen=True, tag=0):
    """Who speaks of which circle, and how it stands: the first frame of each side."""

    versions: tuple[_Version, _Version]
    """Lowest and highest version of frames that the sender speaks."""
    circle: Annotated[CircleId, msgspec.Meta(min_length=32, max_length=32)]
    run: _Bytes8
    """Random, new each time the sender's process starts."""
    serial: _Count
    """Counts the sessions of that process."""
    rule: _Rule
    """By which rule the sender computes consensus."""
    state: CircleState


class Stand(_Frame, frozen=True, tag=1):
    """How the sender stands now."""

    state: CircleState


class Compare(_Frame, frozen=True, tag=2):
    """A step of the comparison of one set; without ranges it is the last one."""

    kind: ItemKind
    number: _Number
    """Which comparison of this session."""
    ranges: Annotated[tuple[Range, ...], msgspec.Meta(max_length=MAX_RANGES)]


class Give(_Frame, frozen=True, tag=3):
    """Items, sealed by whoever loaded them."""

    kind: ItemKind
    payload: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PAYLOAD_BYTES)]


class Acknowledge(_Frame, frozen=True, tag=4):
    """How much of what was given is dealt with: durable here, or refused."""

    received: _Count
    """Bytes of payloads, all together."""
    refused: _Count
    """Items in them that were not taken, all together."""


class Tell(_Frame, frozen=True, tag=5):
    """The sender now has these, and had them from others."""

    kind: ItemKind
    keys: _Keys


class Ask(_Frame, frozen=True, tag=6):
    """The sender wants these, which it was told of."""

    kind: ItemKind
    keys: _Keys


class Bye(_Frame, frozen=True, tag=7):
    """The sender ends the session."""

    farewell: CircleFarewell


CircleFrame: TypeAlias = Hello | Stand | Compare | Give | Acknowledge | Tell | Ask | Bye


class UnknownVersionError(MalformedError):
    """The peer speaks a version of frames that this program does not know."""


def encode(frame: CircleFrame) -> bytes:
    """Return the bytes of a frame."""
    return _VERSION_BYTE + msgspec.msgpack.encode(frame)


def decode(encoded: bytes) -> CircleFrame | None:
    """Return the frame that bytes stand for, None for a kind that may be ignored.

    Raises `MalformedError`, or `UnknownVersionError` for another version.
    """
    if encoded[:1] != _VERSION_BYTE:
        message = "A device speaks another version of the protocol: update the older."
        raise UnknownVersionError(message)
    detail = "A frame of a circle does not follow its format or its limits."
    if len(encoded) > MAX_FRAME_BYTES:
        raise MalformedError(detail)
    content = memoryview(encoded)[1:]
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if may_be_ignored(content, frozenset()):
            return None
        raise MalformedError(detail) from None


_VERSION_BYTE: Final = bytes([VERSION])
_DECODER: Final[msgspec.msgpack.Decoder[CircleFrame]] = msgspec.msgpack.Decoder(
    CircleFrame
)
