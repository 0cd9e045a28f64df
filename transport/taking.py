"""The taking half of a session: what arrived and is not durable yet, within bounds.

Rule: one thing is being made durable at a time, and whatever arrived meanwhile goes
together next; so a slow disk makes groups larger, not the memory.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from crdt.envelope import MAX_ENVELOPE_BYTES
from crdt.errors import MalformedError
from transport.frames import Part
from transport.giving import WINDOW_BYTES

MAX_UNSETTLED_BYTES: Final = WINDOW_BYTES + MAX_ENVELOPE_BYTES + 64 * 1024
"""An honest peer sends its last thing while there is room, whatever the size."""
KEEP_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Keep:
    """Make envelopes durable as far as they are acceptable, and call `kept`."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeepPart:
    """Make a part of a checkpoint durable, and call `kept`."""

    part: Part


Arrived: TypeAlias = bytes | Part


@dataclass(slots=True, eq=False)
class Taking:
    """What arrived, in order."""

    settled: int = 0
    """How many things were dealt with."""
    _arrived: deque[Arrived] = field(default_factory=deque)
    _bytes: int = 0
    _keeping: int = 0
    _keeping_bytes: int = 0

    @property
    def is_keeping(self) -> bool:
        """Whether something is being made durable."""
        return self._keeping > 0

    def arrive(self, thing: Arrived) -> None:
        """Take in an envelope or part; raises `MalformedError` at a flood."""
        self._arrived.append(thing)
        self._bytes += _size(thing)
        if self._bytes + self._keeping_bytes > MAX_UNSETTLED_BYTES:
            detail = "A device sent more than it was allowed to; the link was ended."
            raise MalformedError(detail)

    def next_keep(self) -> Keep | KeepPart | None:
        """Return what to make durable now, None while something is or nothing waits."""
        if self._keeping or not self._arrived:
            return None
        first = self._arrived[0]
        if isinstance(first, Part):
            self._begin(1)
            return KeepPart(first)
        envelopes: list[bytes] = []
        size = 0
        for thing in self._arrived:
            if isinstance(thing, Part) or (envelopes and size > KEEP_BYTES):
                break
            envelopes.append(thing)
            size += len(thing)
        self._begin(len(envelopes))
        return Keep(tuple(envelopes))

    def kept(self) -> None:
        """Take note that what was being made durable is decided upon."""
        self.settled += self._keeping
        self._keeping = self._keeping_bytes = 0

    def _begin(self, count: int) -> None:
        self._keeping = count
        for _ in range(count):
            size = _size(self._arrived.popleft())
            self._bytes -= size
            self._keeping_bytes += size


def _size(thing: Arrived) -> int:
    return len(thing.encoded) if isinstance(thing, Part) else len(thing)
