"""What two devices say to each other over a link about one space.

Specification: docs/protocol/sync.md. Rules of this file:

1. A frame is one MessagePack array whose first item says which it is. What does not
   decode within its limits ends the link; a kind that is not known is passed over, so
   that later versions can say more.
2. A frame that decodes is valid as a form. Envelopes, statements and parts of
   checkpoints inside are opaque here: the replica judges them.
"""

from enum import IntEnum, IntFlag
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.envelope import MAX_ENVELOPE_BYTES, MAX_SEQUENCE
from crdt.errors import MalformedError

VERSION: Final = 1
MAX_DEVICES: Final = 1024
"""In a version vector: more than any person's roster may hold."""
MAX_STATEMENTS: Final = 4096
MAX_STATEMENT_BYTES: Final = 64 * 1024
MAX_STATEMENTS_AT_ONCE: Final = 64
MAX_PART_BYTES: Final = 1024 * 1024
MAX_EPHEMERAL_BYTES: Final = 16 * 1024
MAX_ADDRESSES: Final = 32
MAX_TIME_MS: Final = 2**53

_Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Hash: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]
_Vector: TypeAlias = Annotated[
    tuple[tuple[_Id, _Count], ...], msgspec.Meta(max_length=MAX_DEVICES)
]
_Statement: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)
]
_Digest: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=32)]


class Condition(IntFlag):
    """What keeps a device from taking more; told so that the other side can say it."""

    NONE = 0
    DISK_FULL = 1
    KEY_MISSING = 2


class Wish(IntEnum):
    """What a device wants to be sent."""

    ENVELOPES = 0
    """All that it lacks, one after the other."""
    CHECKPOINT = 1
    """A checkpoint first: it is new, or was away for long."""
    NOTHING = 2
    """Nothing for now: it is being given a checkpoint by another device."""


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=False):
    """Anything that is said; fields that a later version adds are passed over."""


class Hello(Frame, frozen=True, tag=0):
    """The first frame of each side: who has how much, and is the roster the same."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**15)]
    space: _Id
    time_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]
    roster: _Hash
    """Fingerprint of the statements that are held."""
    vector: _Vector
    digest: _Digest
    """Of what is shown with exactly this vector; empty while that is not settled."""
    condition: int
    wish: Wish


class Known(Frame, frozen=True, tag=1):
    """Hashes of all statements that are held; the other side sends what is not here."""

    hashes: Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=MAX_STATEMENTS)]


class Statements(Frame, frozen=True, tag=2):
    """Statements of the roster."""

    encoded: Annotated[
        tuple[_Statement, ...],
        msgspec.Meta(min_length=1, max_length=MAX_STATEMENTS_AT_ONCE),
    ]


class Deliver(Frame, frozen=True, tag=3):
    """One envelope."""

    envelope: Annotated[
        bytes, msgspec.Meta(min_length=1, max_length=MAX_ENVELOPE_BYTES)
    ]


class Holding(Frame, frozen=True, tag=4):
    """What is held durably now, and how many delivered things were dealt with."""

    settled: _Count
    """Envelopes and parts received in this session and decided upon, durably."""
    roster: _Hash
    vector: _Vector
    """All of it; what is not named is not held."""
    digest: _Digest
    condition: int
    wish: Wish


class Absent(Frame, frozen=True, tag=5):
    """What the other side needs is not held any more: it should wish a checkpoint."""


class Part(Frame, frozen=True, tag=6):
    """A part of a checkpoint, in order."""

    number: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    total: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    encoded: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PART_BYTES)]


class Presence(Frame, frozen=True, tag=7):
    """Who edits what right now; may be lost."""

    node: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    states: Annotated[bytes, msgspec.Meta(max_length=MAX_EPHEMERAL_BYTES)]


class Addresses(Frame, frozen=True, tag=8):
    """Where devices may be reached: hints, nothing more."""

    known: Annotated[
        tuple[tuple[_Id, Annotated[str, msgspec.Meta(max_length=300)]], ...],
        msgspec.Meta(max_length=MAX_ADDRESSES),
    ]


class Forward(Frame, frozen=True, tag=9):
    """Signalling of other devices on its way; see docs/protocol/discovery.md."""

    message: Annotated[bytes, msgspec.Meta(max_length=MAX_EPHEMERAL_BYTES)]


class Goodbye(Frame, frozen=True, tag=10):
    """The last frame: why the sender ends the session."""

    cause: Annotated[str, msgspec.Meta(max_length=64)]


AnyFrame: TypeAlias = (
    Hello
    | Known
    | Statements
    | Deliver
    | Holding
    | Absent
    | Part
    | Presence
    | Addresses
    | Forward
    | Goodbye
)
KNOWN_TAGS: Final = range(11)


def encode_frame(frame: AnyFrame) -> bytes:
    """Return a frame as it goes over a link."""
    return _ENCODER.encode(frame)


def decode_frame(encoded: bytes) -> AnyFrame | None:
    """Return a frame; None for a kind that only a later version knows.

    Raises `MalformedError`.
    """
    try:
        frame: AnyFrame = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if _is_unknown(encoded):
            return None
        detail = "A device sent a frame that breaks its format; the link was ended."
        raise MalformedError(detail) from None
    return frame


def _is_unknown(encoded: bytes) -> bool:
    """Whether this is an array with the tag of a kind that is not known here."""
    try:
        raw = _RAW_DECODER.decode(encoded)
        tag = msgspec.msgpack.decode(raw[0], type=int) if raw else -1
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return tag not in KNOWN_TAGS and 0 <= tag < 128


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(AnyFrame)
_RAW_DECODER: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
