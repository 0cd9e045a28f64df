"""When unsealed updates are sealed, and how many go into one envelope.

An idle device seals an update at once, for somebody may be watching. Under load the
fixed cost of an envelope (signature, header) is shared: updates that come right after
an envelope wait 5 ms from it, and while they keep coming, twice as long each time, up
to 50 updates or 50 ms.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from crdt.payload import MAX_CHANGES, Change, encoded_size

MAX_UNSEALED: Final = 50
MIN_WAIT_MS: Final = 5
MAX_WAIT_MS: Final = 50
MAX_BATCH_BYTES: Final = 512 * 1024
"""Small enough to apply without a stall and to send again after a lost connection."""


class SealingSchedule:
    """Knows when the unsealed updates of one space are due.

    1. After `sealed` nothing is unsealed.
    2. `due_ms` is None exactly when nothing is unsealed, and never more than
       `MAX_WAIT_MS` after the first update that is.

    Times are of one clock that does not step back.
    """

    def __init__(self) -> None:
        self._unsealed = 0
        self._due_ms = 0
        self._sealed_ms: int | None = None
        self._wait_ms = MIN_WAIT_MS
        """How long after an envelope the next one is due at the earliest."""

    @property
    def due_ms(self) -> int | None:
        """When to seal; a time that has come means now."""
        return self._due_ms if self._unsealed else None

    def add(self, updates: int, now_ms: int) -> None:
        """Take note that this many updates, one or more, became durable."""
        if not self._unsealed:
            self._due_ms = self._first_due_ms(now_ms)
        self._unsealed += updates
        if self._unsealed >= MAX_UNSEALED:
            self._due_ms = min(self._due_ms, now_ms)

    def sealed(self, now_ms: int) -> None:
        """Take note that everything unsealed has been sealed."""
        self._unsealed = 0
        self._sealed_ms = now_ms

    def _first_due_ms(self, now_ms: int) -> int:
        if self._sealed_ms is None or now_ms >= self._sealed_ms + self._wait_ms:
            self._wait_ms = MIN_WAIT_MS
            return now_ms
        due_ms = self._sealed_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, MAX_WAIT_MS)
        return due_ms


def split(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield the changes in order, in groups of at most `MAX_BATCH_BYTES` encoded.

    A change that is larger stands alone.
    """
    group: list[Change] = []
    group_bytes = 0
    for change in changes:
        change_bytes = encoded_size(change)
        is_full = (
            group_bytes + change_bytes > MAX_BATCH_BYTES or len(group) == MAX_CHANGES
        )
        if group and is_full:
            yield tuple(group)
            group, group_bytes = [], 0
        group.append(change)
        group_bytes += change_bytes
    if group:
        yield tuple(group)
