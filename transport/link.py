"""A link: the one way in which all above it exchanges bytes with a peer.

Specification: docs/protocol/link.md. Rules of this file:

1. A link exists only once both devices have proved who they are to each other.
2. Frames of one kind, control or bulk, arrive whole and in the order they were sent.
   A control frame may overtake bulk ones: it was made for that.
3. A link that is over stays over. What was sent last may not have arrived: only what
   the peer acknowledges inside frames is known to be there.
"""

from enum import StrEnum
from typing import Final, Literal, Protocol, TypeAlias

from crdt.errors import FractalityError
from crdt.ids import DeviceId

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024

LinkKind: TypeAlias = Literal["webrtc", "relay"]


class LinkEnd(StrEnum):
    """Why a link is over."""

    CLOSED_HERE = "closed here"
    CLOSED_BY_PEER = "closed by the peer"
    SILENT = "the peer fell silent"
    LOST = "the network way was lost"
    MISBEHAVED = "the peer broke the rules of a link"


class LinkClosedError(FractalityError):
    """The link is over; nothing more is sent or received on it."""

    def __init__(self, end: LinkEnd) -> None:
        super().__init__(f"The link to the device is over: {end}.")
        self.end = end
        """Why."""


class Link(Protocol):
    """An authenticated, ordered, bounded way to exchange frames with one peer."""

    @property
    def peer(self) -> DeviceId:
        """The device at the other end; it has proved to be that."""

    @property
    def kind(self) -> LinkKind:
        """By which way the frames go."""

    @property
    def rtt_ms(self) -> float | None:
        """The last measured time to the peer and back, None before the first."""

    @property
    def bytes_out(self) -> int:
        """Bytes of frames sent so far."""

    @property
    def bytes_in(self) -> int:
        """Bytes of frames received so far."""

    @property
    def is_suspect(self) -> bool:
        """Whether the peer owes signs of life: time to prepare another link."""

    async def send(self, frame: bytes, *, is_bulk: bool = False) -> None:
        """Wait for room, then send a frame of 1 byte to `MAX_FRAME_BYTES`.

        A cancelled send gives the peer all of the frame or nothing of it. Raises
        `LinkClosedError`.
        """

    async def receive(self) -> bytes:
        """Wait for the next frame.

        What arrived before the peer ended the link is still given. Raises
        `LinkClosedError` after that.
        """

    async def aclose(self) -> None:
        """End the link; whoever waits on it gets `LinkClosedError`."""


def check_frame(frame: bytes) -> None:
    """Raise `ValueError` unless a link can carry `frame`."""
    if not 1 <= len(frame) <= MAX_FRAME_BYTES:
        msg = f"a frame has 1 to {MAX_FRAME_BYTES} bytes, not {len(frame)}"
        raise ValueError(msg)
