"""Frames as messages of at most 16 KiB, and back; windows that bound what is held.

Specification: docs/protocol/link.md. Rules of this file:

1. A frame is cut in one way only: every piece but the last is full.
2. A sender has at most a window of bytes under way that the other has not taken. A
   receiver whose window is exceeded was lied to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from crdt.errors import MalformedError
from transport.link import MAX_FRAME_BYTES

MAX_MESSAGE_BYTES: Final = 16 * 1024
PIECE_BYTES: Final = MAX_MESSAGE_BYTES - 1
CREDIT_STEP_BYTES: Final = 256 * 1024
"""So much is taken before the sender is told."""
WINDOW_BYTES: Final = MAX_FRAME_BYTES + 2 * CREDIT_STEP_BYTES
"""The largest frame always fits, whatever was not yet told to be taken."""
BIND_BYTES: Final = 64


class Channel(IntEnum):
    """The two ways beside each other inside one link."""

    CONTROL = 0
    BULK = 2


class _Kind(IntEnum):
    MORE = 0
    LAST = 1
    ABANDON = 2
    CREDIT = 3
    PING = 4
    PONG = 5
    BIND = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a frame."""

    payload: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Abandon:
    """The frame that was begun will not be finished."""


@dataclass(frozen=True, slots=True)
class Credit:
    """How many bytes of a channel's frames were taken since the link is up."""

    channel: Channel
    taken: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a `Pong` of the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a `Ping`."""

    number: int


@dataclass(frozen=True, slots=True)
class Bind:
    """The sender's signature over how this link came about: its first message."""

    signature: bytes


Message: TypeAlias = Piece | Abandon | Credit | Ping | Pong | Bind


def encode_message(message: Message) -> bytes:
    """Return the bytes of a message."""
    match message:
        case Piece(payload, is_last):
            return bytes([_Kind.LAST if is_last else _Kind.MORE]) + payload
        case Abandon():
            return bytes([_Kind.ABANDON])
        case Credit(channel, taken):
            return bytes([_Kind.CREDIT, channel]) + taken.to_bytes(8)
        case Ping(number):
            return bytes([_Kind.PING]) + number.to_bytes(4)
        case Pong(number):
            return bytes([_Kind.PONG]) + number.to_bytes(4)
        case Bind(signature):
            return bytes([_Kind.BIND]) + signature


def decode_message(channel: Channel, encoded: bytes) -> Message:
    """Return the message that came on `channel`, or raise `MalformedError`."""
    if not 1 <= len(encoded) <= MAX_MESSAGE_BYTES:
        raise MalformedError(_COMPLAINT)
    kind, rest = encoded[0], encoded[1:]
    if kind == _Kind.LAST and rest:
        return Piece(rest, is_last=True)
    if kind == _Kind.MORE and len(rest) == PIECE_BYTES:
        return Piece(rest, is_last=False)
    if kind == _Kind.ABANDON and not rest:
        return Abandon()
    if channel is Channel.CONTROL:
        if kind == _Kind.CREDIT and len(rest) == 9 and rest[0] in _CHANNELS:
            return Credit(Channel(rest[0]), int.from_bytes(rest[1:]))
        if kind == _Kind.PING and len(rest) == 4:
            return Ping(int.from_bytes(rest))
        if kind == _Kind.PONG and len(rest) == 4:
            return Pong(int.from_bytes(rest))
        if kind == _Kind.BIND and len(rest) == BIND_BYTES:
            return Bind(rest)
    raise MalformedError(_COMPLAINT)


def pieces(frame: bytes) -> Iterator[Piece]:
    """Yield a frame in pieces."""
    for start in range(0, len(frame), PIECE_BYTES):
        end = start + PIECE_BYTES
        yield Piece(frame[start:end], is_last=end >= len(frame))


class Inflow:
    """What arrives on one channel, until it is taken."""

    __slots__ = ("_channel", "_payloads", "_received", "_reported", "_size", "_taken")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._payloads: list[bytes] = []
        self._size = 0
        self._received = 0
        self._taken = 0
        self._reported = 0

    def receive(self, piece: Piece) -> bytes | None:
        """Return the frame that this piece completes.

        Raises `MalformedError` for a frame or a backlog larger than is allowed.
        """
        self._size += len(piece.payload)
        self._received += len(piece.payload)
        if self._size > MAX_FRAME_BYTES or self._received - self._taken > WINDOW_BYTES:
            raise MalformedError(_COMPLAINT)
        self._payloads.append(piece.payload)
        if not piece.is_last:
            return None
        frame = b"".join(self._payloads)
        self._payloads, self._size = [], 0
        return frame

    def abandon(self) -> Credit | None:
        """Forget the frame that was begun; return what the sender is to be told."""
        size = self._size
        self._payloads, self._size = [], 0
        return self.take(size)

    def take(self, size: int) -> Credit | None:
        """Note that so many bytes left; return what the sender is to be told."""
        self._taken += size
        if self._taken - self._reported < CREDIT_STEP_BYTES:
            return None
        self._reported = self._taken
        return Credit(self._channel, self._taken)


class Outflow:
    """What was sent on one channel and not yet taken at the other end."""

    __slots__ = ("_sent", "_taken")

    def __init__(self) -> None:
        self._sent = 0
        self._taken = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more fit into the other's window."""
        return self._sent + size - self._taken <= WINDOW_BYTES

    def send(self, size: int) -> None:
        """Note that so many bytes were sent."""
        self._sent += size

    def credit(self, taken: int) -> None:
        """Note what the other has taken; raises `MalformedError` if it cannot be."""
        if not self._taken <= taken <= self._sent:
            raise MalformedError(_COMPLAINT)
        self._taken = taken


_CHANNELS: Final = frozenset(Channel)
_COMPLAINT: Final = "A device broke the rules of a link; the link was ended."
