"""What carries a session over its link, whatever the session is about.

Rules of this file:

1. Frames of a kind leave in the order in which they were put.
2. Small frames that wait are bounded by `MAX_WAITING_BYTES`, beyond which the peer has
   stopped reading; large ones are bounded by the credit of the session.
3. What was said last has `FAREWELL_SECONDS` to go out. The link is closed then.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Final, Generic, TypeVar

from transport.link import Link, LinkClosedError, LinkEnd
from transport.outbox import Outbox

MAX_WAITING_BYTES: Final = 2 * 1024 * 1024
FAREWELL_SECONDS: Final = 2.0

Cause = TypeVar("Cause")
"""Why a session ends."""


class Carriage(Generic[Cause]):
    """A link that one session uses until it ends."""

    def __init__(self, link: Link, clock_ms: Callable[[], int]) -> None:
        """Take a clock that does not step."""
        self._link = link
        self._clock_ms = clock_ms
        self._control = Outbox()
        self._bulk = Outbox()
        self._is_due = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._cause: Cause | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes of small frames that wait for room on the link."""
        return self._control.waiting_bytes

    def put(self, frame: bytes, *, is_bulk: bool = False) -> None:
        """Send a frame as soon as there is room."""
        (self._bulk if is_bulk else self._control).put(frame)

    def clear_if_full(self) -> bool:
        """Forget the small frames that wait, if too many do; return whether so."""
        is_full = self.waiting_bytes > MAX_WAITING_BYTES
        if is_full:
            self._control.clear()
        return is_full

    def moved(self) -> None:
        """Take note that the session may be due at another time now."""
        self._is_due.set()

    def end(self, cause: Cause) -> None:
        """Let `run` return when what was said has gone out."""
        self._cause = cause
        self._has_ended.set()

    async def run(
        self, start: Callable[[], None], *duties: Coroutine[None, None, None]
    ) -> Cause:
        """Start, see to the duties until the session ends, and return why it did.

        Raises `LinkClosedError` if the link was over first.
        """
        lost = LinkClosedError(LinkEnd.LOST)
        sending = (
            self._send(self._control, is_bulk=False),
            self._send(self._bulk, is_bulk=True),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(each) for each in (*sending, *duties)]
                start()
                await self._has_ended.wait()
                await self._say_farewell()
                for task in running:
                    task.cancel()
        except* LinkClosedError as group:
            lost = _first(group)
        finally:
            await self._link.aclose()
        if self._cause is None:
            raise lost
        return self._cause

    async def receive(self, take: Callable[[bytes], None]) -> None:
        """Give `take` every frame that comes."""
        while True:
            take(await self._link.receive())

    async def keep_time(
        self, due_ms: Callable[[], int], expire: Callable[[], None]
    ) -> None:
        """Call `expire` whenever the time of `due_ms` has come."""
        while True:
            self._is_due.clear()
            seconds = (due_ms() - self._clock_ms()) / 1000
            if seconds <= 0:
                expire()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._is_due.wait()

    async def _send(self, outbox: Outbox, *, is_bulk: bool) -> None:
        while True:
            await self._link.send(await outbox.take(), is_bulk=is_bulk)
            outbox.sent()

    async def _say_farewell(self) -> None:
        """Let what was said last go out, if the peer still takes it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._control.wait_empty()


def _first(group: BaseExceptionGroup[LinkClosedError]) -> LinkClosedError:
    """Return one of the errors of a group: all are of the same link."""
    error = group.exceptions[0]
    return error if isinstance(error, LinkClosedError) else _first(error)
