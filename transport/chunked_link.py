"""A link over anything that carries messages of 16 KiB, reliably and in order.

Specification: docs/protocol/link.md. Nothing here needs a task: messages come in as
calls, time as a timer, and only those wait who send and receive.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, assert_never

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from transport.chunks import (
    Abandon,
    Bind,
    Channel,
    Credit,
    Inflow,
    Message,
    Outflow,
    Piece,
    Ping,
    Pong,
    decode_message,
    encode_message,
    pieces,
)
from transport.link import LinkClosedError, LinkEnd, LinkKind, check_frame
from transport.liveness import Liveness, Step

HIGH_WATER_BYTES: Final = {Channel.CONTROL: 256 * 1024, Channel.BULK: 64 * 1024}
"""A sender waits while so much is buffered. What waits for bulk delays control too."""


class Carrier(Protocol):
    """What carries messages, and is closed with the link."""

    def send(self, channel: Channel, message: bytes) -> None:
        """Buffer a message, or do nothing once the carrier is over."""

    def buffered(self, channel: Channel) -> int:
        """Return how many bytes wait to be sent."""

    def abort(self) -> None:
        """Begin to close."""

    async def aclose(self) -> None:
        """Close, also when cancelled."""


class ChunkedLink:
    """One end of a link; `deliver`, `make_room` and `end` are its carrier's to call."""

    def __init__(
        self,
        peer: DeviceId,
        kind: LinkKind,
        carrier: Carrier,
        now_ms: Callable[[], float],
    ) -> None:
        self.peer: Final = peer
        self.kind: Final = kind
        self.bytes_out = 0
        self.bytes_in = 0
        self._carrier = carrier
        self._now_ms = now_ms
        self._ended: LinkEnd | None = None
        self._turns = {channel: asyncio.Lock() for channel in Channel}
        self._outflows = {channel: Outflow() for channel in Channel}
        self._inflows = {channel: Inflow(channel) for channel in Channel}
        self._frames: dict[Channel, deque[bytes]] = {
            channel: deque() for channel in Channel
        }
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._liveness = Liveness(now_ms())
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    @property
    def rtt_ms(self) -> float | None:
        """The last measured time to the peer and back."""
        return self._liveness.rtt_ms

    @property
    def is_suspect(self) -> bool:
        """Whether the peer owes signs of life."""
        return self._liveness.is_suspect

    async def send(self, frame: bytes, *, is_bulk: bool = False) -> None:
        """Send a frame in pieces, each as soon as there is room for it."""
        check_frame(frame)
        channel = Channel.BULK if is_bulk else Channel.CONTROL
        async with self._turns[channel]:
            is_begun = False
            try:
                for piece in pieces(frame):
                    await self._wait_for_room(channel, len(piece.payload))
                    self._outflows[channel].send(len(piece.payload))
                    self._tell(channel, piece)
                    is_begun = True
            except asyncio.CancelledError:
                if is_begun and self._ended is None:
                    self._tell(channel, Abandon())
                raise
            self.bytes_out += len(frame)

    async def receive(self) -> bytes:
        """Wait for the next frame; those of the control channel go first."""
        while not any(self._frames.values()):
            if self._ended is not None:
                raise LinkClosedError(self._ended)
            self._arrived.clear()
            await self._arrived.wait()
        channel = Channel.CONTROL if self._frames[Channel.CONTROL] else Channel.BULK
        frame = self._frames[channel].popleft()
        self.bytes_in += len(frame)
        self._report(self._inflows[channel].take(len(frame)))
        return frame

    async def aclose(self) -> None:
        """End the link and wait until nothing of it is left."""
        self.end(LinkEnd.CLOSED_HERE)
        for frames in self._frames.values():
            frames.clear()
        await self._carrier.aclose()

    def deliver(self, channel: Channel, encoded: bytes) -> None:
        """Take in a message of the peer."""
        if self._ended is not None:
            return
        try:
            self._take(channel, decode_message(channel, encoded))
        except MalformedError:
            self.end(LinkEnd.MISBEHAVED)

    def make_room(self) -> None:
        """Wake the senders: less than before waits to be sent."""
        self._room.set()

    def end(self, end: LinkEnd) -> None:
        """Note that the link is over; the first reason stays."""
        if self._ended is not None:
            return
        self._ended = end
        if self._timer is not None:
            self._timer.cancel()
        self._arrived.set()
        self._room.set()
        self._carrier.abort()

    def _take(self, channel: Channel, message: Message) -> None:
        now_ms = self._now_ms()
        match message:
            case Piece():
                frame = self._inflows[channel].receive(message)
                if frame is not None:
                    self._frames[channel].append(frame)
                    self._arrived.set()
            case Abandon():
                self._report(self._inflows[channel].abandon())
            case Credit(of_channel, taken):
                self._outflows[of_channel].credit(taken)
                self._room.set()
            case Ping(number):
                self._carrier.send(Channel.CONTROL, encode_message(Pong(number)))
            case Pong(number):
                self._liveness.answered(number, now_ms)
            case Bind():
                detail = "A device proved twice who it is; the link was ended."
                raise MalformedError(detail)
            case _:
                assert_never(message)
        self._liveness.heard(now_ms)

    async def _wait_for_room(self, channel: Channel, size: int) -> None:
        while True:
            if self._ended is not None:
                raise LinkClosedError(self._ended)
            if (
                self._outflows[channel].has_room(size)
                and self._carrier.buffered(channel) < HIGH_WATER_BYTES[channel]
            ):
                return
            self._room.clear()
            await self._room.wait()

    def _report(self, credit: Credit | None) -> None:
        if credit is not None and self._ended is None:
            self._tell(Channel.CONTROL, credit)

    def _tell(self, channel: Channel, message: Message) -> None:
        self._carrier.send(channel, encode_message(message))
        self._liveness.sent(self._now_ms())
        self._arm()

    def _arm(self) -> None:
        """Set the timer, unless it goes off before the deadline anyway."""
        loop = asyncio.get_running_loop()
        wait = max(0.0, self._liveness.deadline_ms - self._now_ms()) / 1000
        if self._timer is not None:
            if not self._timer.cancelled() and self._timer.when() <= loop.time() + wait:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        match self._liveness.expire(self._now_ms()):
            case Step.DROP:
                self.end(LinkEnd.SILENT)
                return
            case Step.PING:
                ping = Ping(self._liveness.number)
                self._carrier.send(Channel.CONTROL, encode_message(ping))
            case Step.WAIT:
                pass
            case step:
                assert_never(step)
        self._arm()
