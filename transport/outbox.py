"""Frames that wait for room on a link, counted so that they stay bounded."""

import asyncio
from collections import deque


class Outbox:
    """Frames that wait for room on one channel of a link."""

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self._frames: deque[bytes] = deque()
        self._taken_bytes = 0
        self._has_frames = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def put(self, frame: bytes) -> None:
        """Add a frame behind the others."""
        self._frames.append(frame)
        self.waiting_bytes += len(frame)
        self._has_frames.set()
        self._is_empty.clear()

    async def take(self) -> bytes:
        """Wait for a frame; it counts as waiting until `sent`."""
        await self._has_frames.wait()
        frame = self._frames.popleft()
        self._taken_bytes = len(frame)
        if not self._frames:
            self._has_frames.clear()
        return frame

    def sent(self) -> None:
        """Take note that the frame taken last has left."""
        self.waiting_bytes -= self._taken_bytes
        self._taken_bytes = 0
        if not self._frames:
            self._is_empty.set()

    def clear(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self._has_frames.clear()
        self.waiting_bytes = self._taken_bytes

    async def wait_empty(self) -> None:
        """Wait until everything has left."""
        await self._is_empty.wait()
