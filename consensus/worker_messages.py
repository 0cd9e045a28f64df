"""What the daemon and the process that embeds say to each other.

Frame := <length (4 bytes, big-endian)> <message (MessagePack array, tag first)>
Rules of this file:
1. Neither side trusts the other: every message is decoded by type and limit.
2. Texts are in the questions alone; no answer, cause or log repeats one.
"""

import struct
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from consensus.model_tag import DIMENSION, TAG_BYTES
from crdt.errors import MalformedError

MAX_TEXTS: Final = 64
MAX_TEXT_CHARACTERS: Final = 8 * 1024
MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
LENGTH: Final = struct.Struct(">I")

Fault: TypeAlias = Literal["libraries", "files", "dimension", "pooling", "model"]
"""Why a model cannot be used: libraries are absent; the folder lacks files; vectors of
another length; another pooling than the mean; the libraries refuse it."""


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """The first question: take this model."""

    folder: str
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)]


class Embed(msgspec.Struct, frozen=True, array_like=True, tag="embed"):
    """Make vectors of these texts."""

    number: int
    texts: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)]],
        msgspec.Meta(min_length=1, max_length=MAX_TEXTS),
    ]


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """The model is loaded."""

    tag: Annotated[bytes, msgspec.Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


class Unusable(msgspec.Struct, frozen=True, array_like=True, tag="unusable"):
    """The model cannot be used; the process ends."""

    fault: Fault
    detail: int = 0
    """The dimension, if that is the fault."""


class Embedded(msgspec.Struct, frozen=True, array_like=True, tag="embedded"):
    """The vectors of question `number`, one after the other."""

    number: int
    vectors: Annotated[bytes, msgspec.Meta(max_length=MAX_TEXTS * DIMENSION)]


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The model could not embed the texts of question `number`."""

    number: int


Question: TypeAlias = Open | Embed
Answer: TypeAlias = Opened | Unusable | Embedded | Failed

_encode = msgspec.msgpack.Encoder().encode
_question: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Question | Answer) -> bytes:
    """Return a message as it goes through the pipe."""
    content = _encode(message)
    return LENGTH.pack(len(content)) + content


def content_length(prefix: bytes) -> int:
    """Return how many bytes follow a prefix, or raise `MalformedError`."""
    length = int(LENGTH.unpack(prefix)[0])
    if length > MAX_FRAME_BYTES:
        message = "a frame of the embedding process is too long"
        raise MalformedError(message)
    return length


def decode_question(content: bytes) -> Question:
    """Return what the daemon asks, or raise `MalformedError`."""
    try:
        return _question.decode(content)
    except (msgspec.MsgspecError, UnicodeError):
        message = "a question to the embedding process does not decode"
        raise MalformedError(message) from None


def decode_answer(content: bytes) -> Answer:
    """Return what the process answers, or raise `MalformedError`."""
    try:
        return _answer.decode(content)
    except (msgspec.MsgspecError, UnicodeError):
        message = "an answer of the embedding process does not decode"
        raise MalformedError(message) from None
