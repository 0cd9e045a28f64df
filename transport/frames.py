"""Frames: what two devices may say to each other on a link, typed and limited.

Specification: docs/protocol/sync.md. Rules of this file:

1. A frame is a version byte, then one MessagePack array that begins with its kind.
2. What comes later may add elements at the end of an array: readers pass over those
   that they do not know, and every element added has a default.
3. A kind from `FIRST_IGNORABLE_KIND` to 255 that is unknown is passed over (`decode`
   gives None); an unknown kind below it has to be understood and ends the session.
"""

from enum import IntEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.envelope import MAX_ENVELOPE_BYTES, MAX_SEQUENCE
from crdt.errors import MalformedError
from crdt.ids import CircleId, DeviceId, SpaceId
from crdt.statement import MAX_STATEMENT_BYTES
from transport.link import MAX_FRAME_BYTES

VERSION: Final = 1
FIRST_IGNORABLE_KIND: Final = 64
MAX_DEVICES: Final = 1024
MAX_STATEMENTS: Final = 16_384
MAX_STATEMENTS_BYTES: Final = 256 * 1024
MAX_ENVELOPES: Final = 1024
MAX_REFUSALS: Final = 1024
MAX_PART_BYTES: Final = 1024 * 1024
MAX_PARTS: Final = 65_536
MAX_PRESENCE_BYTES: Final = 32 * 1024
MAX_ADDRESSES: Final = 32
MAX_ADDRESS_BYTES: Final = 255
MAX_FORWARD_BYTES: Final = 32 * 1024
MAX_CIRCLES: Final = 32
MAX_CARDS: Final = 16
MAX_CARD_BYTES: Final = 4 * 1024
MAX_CIRCLES_BYTES: Final = 256 * 1024


class Condition(IntEnum):
    """Whether a device takes what others wrote."""

    READY = 0
    PAUSED = 1
    """Its person paused it: it neither gives nor takes."""
    DISK_FULL = 2
    """It gives, but cannot take."""


class Refusal(IntEnum):
    """Why a device did not accept an envelope that the sender may send again."""

    GAP = 0
    """It lacks the envelopes before this one."""
    NO_KEY = 1
    """It lacks the key of the envelope's epoch."""
    STRANGER = 2
    """It does not know the device that wrote it."""
    REMOVED = 3
    """The device that wrote it was removed, and this comes after the cut."""
    FORK = 4
    """It holds another content under that number."""
    UNREADABLE = 5
    """It cannot read what the envelope carries: a newer version wrote it, or nobody
    should have."""


class Farewell(IntEnum):
    """What a device that ends a session tells the other, for people to read."""

    CLOSING = 0
    REPLACED = 1
    """Another session of the same two devices goes on."""
    REMOVED = 2
    """The device that is told this was removed from the space."""
    STRANGER = 3
    """The device that is told this is not in the roster."""
    BROKEN_RULES = 4
    DISK_FULL = 5
    STALLED = 6
    VERSION = 7
    FOREIGN_SPACE = 8
    ROLLED_BACK = 9
    """One of the two has forgotten envelopes of its own: a copy, or an old backup."""
    FORKED = 10
    """The device that is told this has written two histories: its home was copied."""


_Device: TypeAlias = Annotated[DeviceId, msgspec.Meta(min_length=16, max_length=16)]
_Bytes8: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
_Bytes16: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Digest: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
_Sequence: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]
_Part: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTS)]
Vector: TypeAlias = dict[_Device, _Sequence]
_Vector: TypeAlias = Annotated[Vector, msgspec.Meta(max_length=MAX_DEVICES)]


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    pass


class PartialCheckpoint(_Frame, frozen=True):
    """How far a checkpoint got that a former session began."""

    id: _Bytes16
    next_part: _Part


class Hello(_Frame, frozen=True, tag=0):
    """Who speaks of which space, and how it stands: the first frame of each side."""

    space: Annotated[SpaceId, msgspec.Meta(min_length=16, max_length=16)]
    run: _Bytes8
    """Random, new each time the sender's process starts."""
    serial: _Count
    """Counts the sessions of that process."""
    roster: _Bytes32
    """Fingerprint of the sender's roster."""
    vector: _Vector
    now_ms: _Count
    """The sender's wall clock."""
    condition: Condition
    partial: PartialCheckpoint | None = None


class RosterHashes(_Frame, frozen=True, tag=1):
    """Which statements the sender accepted; asks for the others."""

    hashes: Annotated[tuple[_Bytes32, ...], msgspec.Meta(max_length=MAX_STATEMENTS)]


class Statements(_Frame, frozen=True, tag=2):
    """Statements that the receiver lacks, parents first."""

    statements: Annotated[
        tuple[
            Annotated[
                bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)
            ],
            ...,
        ],
        msgspec.Meta(max_length=MAX_STATEMENTS_BYTES),
    ]
    is_last: bool
    """Whether this ends the answer to `RosterHashes`."""


class StatementsKept(_Frame, frozen=True, tag=3):
    """The last `Statements` are durable: the next may follow."""

    roster: _Bytes32


class Envelopes(_Frame, frozen=True, tag=4):
    """Envelopes, those of one device in the order of their numbers."""

    envelopes: Annotated[
        tuple[
            Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_ENVELOPE_BYTES)],
            ...,
        ],
        msgspec.Meta(min_length=1, max_length=MAX_ENVELOPES),
    ]


class Acknowledge(_Frame, frozen=True, tag=5):
    """What the sender now holds durably, and how much more it takes.

    The first one, which answers the Hello, acknowledges nothing.
    """

    received: _Count
    """Bytes of envelopes and parts dealt with in this session, all together."""
    vector: _Vector
    """Entries that changed since the last time."""


class Refused(_Frame, frozen=True, tag=6):
    """Envelopes that were not accepted; the `Acknowledge` before it counts them."""

    refusals: Annotated[
        tuple[tuple[_Device, _Sequence, Refusal], ...],
        msgspec.Meta(min_length=1, max_length=MAX_REFUSALS),
    ]


class CheckpointPart(_Frame, frozen=True, tag=7):
    """A part of the sender's whole state."""

    id: _Bytes16
    index: _Part
    total: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    part: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PART_BYTES)]


class Shown(_Frame, frozen=True, tag=8):
    """What the sender shows at a version vector that both hold."""

    vector_hash: _Bytes32
    digest: _Digest


class Changed(_Frame, frozen=True, tag=9):
    """The sender's condition changed."""

    condition: Condition


class Bye(_Frame, frozen=True, tag=10):
    """The sender ends the session."""

    farewell: Farewell


class CheckpointOffer(_Frame, frozen=True, tag=11):
    """The receiver needs a checkpoint: it lacks much, or what is not held any more."""


class CheckpointWish(_Frame, frozen=True, tag=12):
    """The sender takes the checkpoint that it was offered, and no other meanwhile."""


class Presence(_Frame, frozen=True, tag=64):
    """Who is there and what is edited; handled outside of the session."""

    content: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PRESENCE_BYTES)]


class Addresses(_Frame, frozen=True, tag=65):
    """Where devices were last reached; handled outside of the session."""

    addresses: Annotated[
        tuple[
            tuple[
                _Device,
                Annotated[
                    str, msgspec.Meta(min_length=1, max_length=MAX_ADDRESS_BYTES)
                ],
            ],
            ...,
        ],
        msgspec.Meta(max_length=MAX_ADDRESSES),
    ]


class Forward(_Frame, frozen=True, tag=66):
    """Signalling for another device; handled outside of the session."""

    content: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_FORWARD_BYTES)]


class OwnCircle(_Frame, frozen=True):
    """A circle that the person is in, or was."""

    circle: Annotated[CircleId, msgspec.Meta(min_length=32, max_length=32)]
    founding: Annotated[
        bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)
    ]
    """The statement that founded it."""
    cards: Annotated[
        tuple[
            Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CARD_BYTES)],
            ...,
        ],
        msgspec.Meta(max_length=MAX_CARDS),
    ]
    """Where the person's devices are, within the circle."""
    has_left: bool


class Circles(_Frame, frozen=True, tag=67):
    """In which circles the person is; handled outside of the session.

    More than fits goes in several frames: each speaks only of the circles it names.
    """

    circles: Annotated[tuple[OwnCircle, ...], msgspec.Meta(max_length=MAX_CIRCLES)]

    def __post_init__(self) -> None:
        """Raise `ValueError` if this is larger than one frame may be."""
        total = sum(
            len(each.founding) + sum(map(len, each.cards)) for each in self.circles
        )
        if total > MAX_CIRCLES_BYTES:
            msg = f"a frame tells at most {MAX_CIRCLES_BYTES} bytes of circles"
            raise ValueError(msg)


Aside: TypeAlias = Presence | Addresses | Forward | Circles
SyncFrame: TypeAlias = (
    Hello
    | RosterHashes
    | Statements
    | StatementsKept
    | Envelopes
    | Acknowledge
    | Refused
    | CheckpointPart
    | Shown
    | Changed
    | Bye
    | CheckpointOffer
    | CheckpointWish
)
Frame: TypeAlias = SyncFrame | Aside


class UnknownVersionError(MalformedError):
    """The peer speaks a version of frames that this program does not know."""


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    return _VERSION_BYTE + msgspec.msgpack.encode(frame)


def decode(encoded: bytes) -> Frame | None:
    """Return the frame that bytes stand for, None for a kind that may be ignored.

    Raises `MalformedError`, or `UnknownVersionError` for another version.
    """
    if encoded[:1] != _VERSION_BYTE:
        message = "A device speaks another version of the protocol: update the older."
        raise UnknownVersionError(message)
    detail = "A frame does not follow its format or its limits."
    if len(encoded) > MAX_FRAME_BYTES:
        raise MalformedError(detail)
    content = memoryview(encoded)[1:]
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if may_be_ignored(content, _ASIDES):
            return None
        raise MalformedError(detail) from None


def may_be_ignored(content: memoryview, known: frozenset[int]) -> bool:
    """Whether this begins like an array of a kind that is not `known` nor has to be."""
    header_bytes = _ARRAY_HEADERS.get(content[0], 1) if content else 1
    kind = bytes(content[header_bytes : header_bytes + 2])
    if kind[:1] == _UINT8:
        kind = kind[1:]
    elif kind[:1] > _LAST_FIXED_INTEGER:
        return False
    return bool(kind) and FIRST_IGNORABLE_KIND <= kind[0] and kind[0] not in known


_VERSION_BYTE: Final = bytes([VERSION])
_ASIDES: Final = frozenset({64, 65, 66, 67})
_DECODER: Final[msgspec.msgpack.Decoder[Frame]] = msgspec.msgpack.Decoder(Frame)
_ARRAY_HEADERS: Final = {0xDC: 3, 0xDD: 5}
"""Bytes before the first element, where an array is longer than 15."""
_UINT8: Final = b"\xcc"
_LAST_FIXED_INTEGER: Final = b"\x7f"
