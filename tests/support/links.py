"""Two ends of a link in one process, with nothing between them."""

import asyncio
from collections import deque
from typing import Final

from crdt.ids import DeviceId
from transport.link import LinkClosedError, LinkEnd, LinkKind, check_frame

ROOM_BYTES: Final = 256 * 1024
"""A sender waits while this much of its kind of frame has not been received."""


class _Way:
    """Frames under way in one direction: control overtakes bulk."""

    def __init__(self) -> None:
        self.end: LinkEnd | None = None
        self._control: deque[bytes] = deque()
        self._bulk: deque[bytes] = deque()
        self._changed = asyncio.Event()

    async def put(self, frame: bytes, *, is_bulk: bool) -> None:
        frames = self._bulk if is_bulk else self._control
        while self.end is None and sum(map(len, frames)) >= ROOM_BYTES:
            await self._changed.wait()
        if self.end is not None:
            raise LinkClosedError(self.end)
        frames.append(frame)
        self._wake()

    async def take(self) -> bytes:
        while not (self._control or self._bulk or self.end):
            await self._changed.wait()
        frames = self._control or self._bulk
        if not frames:
            assert self.end is not None
            raise LinkClosedError(self.end)
        frame = frames.popleft()
        self._wake()
        return frame

    def finish(self, end: LinkEnd) -> None:
        self.end = self.end or end
        self._wake()

    def discard(self) -> None:
        self._control.clear()
        self._bulk.clear()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class MemoryLink:
    """One end of a link in memory; also has what tests need to be unkind to it."""

    kind: Final[LinkKind] = "webrtc"

    def __init__(self, peer: DeviceId, out: _Way, into: _Way) -> None:
        self.peer: Final = peer
        self.rtt_ms: float | None = None
        self.is_suspect = False
        self.bytes_out = 0
        self.bytes_in = 0
        self._out = out
        self._into = into
        self._end: LinkEnd | None = None

    async def send(self, frame: bytes, *, is_bulk: bool = False) -> None:
        check_frame(frame)
        if self._end is not None:
            raise LinkClosedError(self._end)
        await self._out.put(frame, is_bulk=is_bulk)
        self.bytes_out += len(frame)

    async def receive(self) -> bytes:
        frame = await self._into.take()
        self.bytes_in += len(frame)
        return frame

    async def aclose(self) -> None:
        self._end = self._end or self._into.end or LinkEnd.CLOSED_HERE
        self._out.finish(LinkEnd.CLOSED_BY_PEER)
        self._into.finish(self._end)
        self._into.discard()

    def cut(self) -> None:
        """Lose the way between both ends, with all that is on it."""
        for way in (self._out, self._into):
            way.finish(LinkEnd.LOST)
            way.discard()


def memory_pair(a: DeviceId, b: DeviceId) -> tuple[MemoryLink, MemoryLink]:
    """Return the end of a link that device `a` holds, and the one of `b`."""
    to_a, to_b = _Way(), _Way()
    return MemoryLink(b, to_b, to_a), MemoryLink(a, to_a, to_b)
