"""What two devices say to each other while they pair, as bytes.

Specification: docs/protocol/pairing.md. Golden bytes: tests/vectors/pairing.json.
Every message is the version, one byte, then a MessagePack array.
"""

from enum import StrEnum
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from crdt.errors import MalformedError
from crdt.identity import MAX_NAME_BYTES
from crdt.ids import has_control_characters
from crdt.keys import KEY_BYTES, SIGNATURE_BYTES, Confidential
from transport.password_agreement import AGREEMENT_BYTES

VERSION: Final = 1
ATTEMPT_BYTES: Final = 16
CONFIRMATION_BYTES: Final = 32
MAX_QUESTION_BYTES: Final = 4096
"""Of what a joiner sends: a stranger may make the inviter read no more."""
MAX_ANSWER_BYTES: Final = 16 * 1024
"""Of what an inviter answers, which is all that an endpoint carries at once."""
PIECE_BYTES: Final = 12 * 1024
MAX_PIECES: Final = 128
"""Of one gift: 1.5 MiB, the roster of thousands of statements."""
MAX_STATEMENTS: Final = 16_384
MAX_ADDRESSES: Final = 32
MAX_ADDRESS_CHARACTERS: Final = 300
_MAX_RECORD_BYTES: Final = 256 * 1024
_ID_BYTES: Final = 16

_Attempt: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=ATTEMPT_BYTES, max_length=ATTEMPT_BYTES)
]
_Agreement: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=AGREEMENT_BYTES, max_length=AGREEMENT_BYTES)
]
_Confirmation: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=CONFIRMATION_BYTES, max_length=CONFIRMATION_BYTES)
]
_Key: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
_Id: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=_ID_BYTES, max_length=_ID_BYTES)
]
_Piece: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=PIECE_BYTES)]
_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=MAX_PIECES)]
_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_BYTES)]


class Cause(StrEnum):
    """Why a pairing ends without a device."""

    WRONG_CODE = "wrong-code"
    SPENT = "tries-spent"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    TAKEN = "taken"
    CLASH = "clash"
    FAILED = "failed"
    VERSION = "version"


class _Message(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    attempt: _Attempt
    """Chosen by the joiner, new for each try."""


class Hello(_Message, frozen=True, tag=1):
    """The joiner's half of the key agreement."""

    agreement: _Agreement


class Welcome(_Message, frozen=True, tag=2):
    """The inviter's half, and its proof of the key."""

    agreement: _Agreement
    confirmation: _Confirmation


class Confirm(_Message, frozen=True, tag=3):
    """The joiner's proof of the key."""

    confirmation: _Confirmation


class Propose(_Message, frozen=True, tag=4):
    """A sealed `Proposal`."""

    sealed: bytes


class Introduce(_Message, frozen=True, tag=5):
    """A sealed `Newcomer`."""

    sealed: bytes


class Grant(_Message, frozen=True, tag=6):
    """A sealed `Gift`, or as much of it as one message carries."""

    pieces: Annotated[int, msgspec.Meta(ge=1, le=MAX_PIECES)]
    """How many there are."""
    piece: _Piece
    """The first, number 0."""


class Finish(_Message, frozen=True, tag=7):
    """A sealed `Receipt`."""

    sealed: bytes


class Farewell(_Message, frozen=True, tag=8):
    """Sealed nothing: the inviter knows how it ended."""

    sealed: bytes


class Refuse(_Message, frozen=True, tag=9):
    """Either side ends the attempt. In the clear, for there may be no common key."""

    cause: Cause


class Fetch(_Message, frozen=True, tag=10):
    """The joiner asks for a further piece of the gift."""

    number: _Number


class Piece(_Message, frozen=True, tag=11):
    """A further piece of the gift."""

    number: _Number
    piece: _Piece


Question: TypeAlias = Hello | Confirm | Introduce | Fetch | Finish | Refuse
"""What a joiner sends."""
Answer: TypeAlias = Welcome | Propose | Grant | Piece | Farewell | Refuse
"""What an inviter answers."""
AnyMessage: TypeAlias = Question | Answer


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """Whose device one would become, told before anything is asked."""

    space: _Id
    person_public_key: _Key
    person_name: _Name
    device: _Id
    """Of the inviter."""
    device_name: _Name


class Newcomer(msgspec.Struct, frozen=True, array_like=True):
    """The device that wants to join, and its consent."""

    public_key: _Key
    hpke_key: _Key
    client_id: Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]
    name: _Name
    consent: Annotated[
        bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
    ]
    """The new device's signature under the roster statement that adds it."""


class Gift(Confidential, frozen=True, array_like=True):
    """All that makes a device one of its person's."""

    person_secret: _Key
    space_keys: Annotated[bytes, msgspec.Meta(max_length=_MAX_RECORD_BYTES)]
    """The record of `crdt.space_keys`, with every epoch."""
    statements: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_STATEMENTS)]
    """Of the roster, the one that adds the new device among them."""
    addresses: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=MAX_ADDRESS_CHARACTERS)], ...],
        msgspec.Meta(max_length=MAX_ADDRESSES),
    ]
    """Where the inviter can be reached."""


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """Whether the new device has all of the gift on its disk."""

    is_kept: bool


class NewerVersionError(MalformedError):
    """The message is of a version that this program does not know."""


_Content = TypeVar("_Content", Proposal, Newcomer, Gift, Receipt)


def encode(message: AnyMessage) -> bytes:
    """Return a message as it travels."""
    return bytes((VERSION,)) + msgspec.msgpack.encode(message)


def decode_question(encoded: bytes) -> Question:
    """Return what a joiner sent, or raise `MalformedError`."""
    return _decoded(encoded, _QUESTIONS, MAX_QUESTION_BYTES)


def decode_answer(encoded: bytes) -> Answer:
    """Return what an inviter answered, or raise `MalformedError`."""
    return _decoded(encoded, _ANSWERS, MAX_ANSWER_BYTES)


def cut(sealed: bytes) -> list[bytes]:
    """Return a sealed gift in pieces, at least one.

    Raises `ValueError` if it is too large to be given.
    """
    pieces = [
        sealed[start : start + PIECE_BYTES]
        for start in range(0, len(sealed), PIECE_BYTES)
    ]
    if len(pieces) > MAX_PIECES:
        msg = "the roster is too large to be handed over"
        raise ValueError(msg)
    return pieces


def encode_content(content: Proposal | Newcomer | Gift | Receipt) -> bytes:
    """Return what is to be sealed."""
    return msgspec.msgpack.encode(content)


def decode_content(plain: bytes, kind: type[_Content]) -> _Content:
    """Return what was sealed, or raise `MalformedError`.

    Fields that a later version adds at the end are ignored.
    """
    try:
        content = msgspec.msgpack.decode(plain, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_DROPPED) from None
    for field in ("name", "person_name", "device_name"):
        name = getattr(content, field, "name")
        if not name.strip() or has_control_characters(name):
            raise MalformedError(_DROPPED)
    return content


_Decoded = TypeVar("_Decoded")


def _decoded(
    encoded: bytes, decoder: msgspec.msgpack.Decoder[_Decoded], limit: int
) -> _Decoded:
    if not encoded or len(encoded) > limit:
        raise MalformedError(_DROPPED)
    if encoded[0] != VERSION:
        detail = "A message of a pairing is of another version of this program."
        raise NewerVersionError(detail)
    try:
        return decoder.decode(encoded[1:])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_DROPPED) from None


_DROPPED: Final = "A message of a pairing does not follow its format; it was dropped."
_QUESTIONS: Final[msgspec.msgpack.Decoder[Question]] = msgspec.msgpack.Decoder(Question)
_ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
