"""The newest events of the daemon, numbered without holes, for any number of watchers.

A watcher keeps its own place, so a slow one costs nothing: when what it has not yet
read is gone, it is told how many events it missed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from crdt.events import Event

CAPACITY: Final = 10_000


class Lost(msgspec.Struct, frozen=True):
    """Some events are not held any more."""

    count: int
    first: int
    """Number of the first event that is missing."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event and its place, or what is lost before the next one."""

    number: int
    event: Event | Lost


class EventLog:
    """A bounded log of events; all of it belongs to the event loop."""

    def __init__(self, last: int) -> None:
        """Continue after event number `last`, of which nothing is held."""
        self.last = last
        self._held: deque[Event] = deque(maxlen=CAPACITY)
        self._grown = asyncio.Event()
        self._watchers = 0

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows the events now."""
        return self._watchers > 0

    def extend(self, first: int, events: Sequence[Event]) -> None:
        """Add events, the first of which has number `first`."""
        if first != self.last + 1:
            # A commit whose events nobody could be told of: the log starts anew.
            self._held.clear()
        self._held.extend(events)
        self.last = first + len(events) - 1
        self._grown.set()
        self._grown = asyncio.Event()

    async def follow(self, after: int) -> AsyncIterator[Numbered]:
        """Yield every event behind number `after`, for ever."""
        self._watchers += 1
        try:
            async for numbered in self._follow(after):
                yield numbered
        finally:
            self._watchers -= 1

    async def _follow(self, after: int) -> AsyncIterator[Numbered]:
        place = after if 0 <= after <= self.last else self.last
        if after > self.last:
            yield Numbered(place, Lost(0, after))
        while True:
            oldest = self.last - len(self._held) + 1
            if place + 1 < oldest:
                missed = oldest - place - 1
                yield Numbered(oldest - 1, Lost(missed, place + 1))
                place = oldest - 1
            elif place < self.last:
                place += 1
                yield Numbered(place, self._held[place - oldest])
            else:
                await self._grown.wait()
