"""What a person who joins a circle and the one who invited say, as bytes.

Specification: docs/protocol/circle-joining.md. Golden bytes:
tests/vectors/circle_joining.json. Rules of this file:

1. A question is sealed to the inviting device, an answer to the person who asked: who
   carries them learns their sizes.
2. Only who opened a question knows its nonce, and an answer opens only with that: so
   the inviter, and nobody else, has answered this very question.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from crdt.errors import MalformedError
from crdt.identity import MAX_NAME_BYTES
from crdt.ids import CircleId
from crdt.keys import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Confidential,
    open_sealed,
    seal_to,
)
from crdt.statement import MAX_STATEMENT_BYTES
from transport.circle_ticket import SECRET_BYTES

VERSION: Final = 1
NONCE_BYTES: Final = 16
MAX_QUESTION_BYTES: Final = 8 * 1024
"""Of what a stranger makes the inviter open."""
MAX_CARD_BYTES: Final = 4 * 1024
PIECE_BYTES: Final = 12 * 1024
"""Of a gift in one answer, so that it fits what an endpoint carries."""
MAX_PIECES: Final = 512
"""Of one gift: 6 MiB."""
MAX_STATEMENTS: Final = 16_384
MAX_CARDS: Final = 2_048
_ASKED: Final = b"fractality/1 circle join\0"
_ANSWERED: Final = b"fractality/1 circle join answer\0"
_HASH_BYTES: Final = 32
_Content = TypeVar("_Content")

_Key: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
_Hash: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=_HASH_BYTES, max_length=_HASH_BYTES)
]
_Card: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=1, max_length=MAX_CARD_BYTES)
]


class Cause(StrEnum):
    """Why somebody who has a ticket is not let in."""

    EXPIRED = "expired"
    USED_UP = "used-up"
    FULL = "full"
    REMOVED = "removed"
    CLOSED = "closed"
    PAUSED = "paused"
    FAILED = "failed"


class Question(
    Confidential, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True
):
    """Who wants to join, by which ticket, and which piece of the gift is wanted."""

    secret: Annotated[
        bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)
    ]
    nonce: Annotated[
        bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)
    ]
    """Random, of each question its own."""
    public_key: _Key
    """The pseudonym of the person in this circle."""
    hpke_key: _Key
    """To which answers and the circle's keys are sealed."""
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_BYTES)]
    """The alias."""
    consent: Annotated[
        bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
    ]
    """Signature of the person under the statement that adds it."""
    card: _Card
    """Where the asking device is."""
    gift: _Hash | None
    """Of which gift a piece is wanted, None at the beginning."""
    number: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PIECES)]


class Piece(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1
):
    """A piece of what the newcomer begins with."""

    gift: _Hash
    """SHA-256 of the whole gift."""
    pieces: Annotated[int, msgspec.Meta(ge=1, le=MAX_PIECES)]
    number: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PIECES)]
    piece: Annotated[bytes, msgspec.Meta(max_length=PIECE_BYTES)]


class Told(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2
):
    """Why the person is not let in."""

    cause: Cause


Answer: TypeAlias = Piece | Told


class Gift(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a newcomer begins with: who is in the circle, and where."""

    statements: Annotated[
        tuple[
            Annotated[
                bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)
            ],
            ...,
        ],
        msgspec.Meta(min_length=1, max_length=MAX_STATEMENTS),
    ]
    """Of the roster, parents first; among them the keys, sealed to the newcomer."""
    cards: Annotated[tuple[_Card, ...], msgspec.Meta(max_length=MAX_CARDS)]


def seal_question(circle: CircleId, hpke_key: bytes, question: Question) -> bytes:
    """Return a question sealed to the inviting device.

    Raises `ForgedError` for what is no key.
    """
    return seal_to(hpke_key, _ASKED + circle, _encoded(question))


def open_question(circle: CircleId, hpke_seed: bytes, sealed: bytes) -> Question:
    """Return a question about this circle to this device, or raise a `PeerError`."""
    if len(sealed) > MAX_QUESTION_BYTES:
        raise MalformedError(_COMPLAINT)
    plain = open_sealed(hpke_seed, _ASKED + circle, sealed)
    return _decoded(_QUESTION_DECODER, plain)


def seal_answer(circle: CircleId, question: Question, answer: Answer) -> bytes:
    """Return an answer sealed to who asked; raises `ForgedError` for what is no key."""
    info = _ANSWERED + circle + question.nonce
    return seal_to(question.hpke_key, info, _encoded(answer))


def open_answer(
    circle: CircleId, hpke_seed: bytes, question: Question, sealed: bytes
) -> Answer:
    """Return the inviter's answer to a question, or raise a `PeerError`."""
    info = _ANSWERED + circle + question.nonce
    return _decoded(_ANSWER_DECODER, open_sealed(hpke_seed, info, sealed))


def encode_gift(gift: Gift) -> bytes:
    """Return the bytes of a gift, which travel in pieces."""
    return _encoded(gift)


def decode_gift(encoded: bytes) -> Gift:
    """Return a gift, or raise `MalformedError`."""
    return _decoded(_GIFT_DECODER, encoded)


def gift_hash(encoded: bytes) -> bytes:
    """Return the name of a gift."""
    return hashlib.sha256(encoded).digest()


def _encoded(content: msgspec.Struct) -> bytes:
    return bytes([VERSION]) + msgspec.msgpack.encode(content)


def _decoded(decoder: "msgspec.msgpack.Decoder[_Content]", encoded: bytes) -> _Content:
    if encoded[:1] != bytes([VERSION]):
        raise MalformedError(_COMPLAINT)
    try:
        return decoder.decode(memoryview(encoded)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_COMPLAINT) from None


_COMPLAINT: Final = "What was said about joining a circle breaks its format."
_QUESTION_DECODER: Final = msgspec.msgpack.Decoder(Question)
_ANSWER_DECODER: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(
    Answer
)
_GIFT_DECODER: Final = msgspec.msgpack.Decoder(Gift)
