"""Whether something is pending and nothing has moved for too long.

A silent stall is the worst that a synchronising program can do to people: they rely on
what is not there. So each session watches itself.
"""

from typing import Final

from transport.sync_actions import Moving, News, StallCause, Stalled

STALL_MS: Final = 60_000
GIVE_UP_MS: Final = 180_000
GIVING_UP: Final = frozenset(
    {StallCause.NO_ANSWER, StallCause.UNACKNOWLEDGED, StallCause.WITHHELD}
)
"""What another link may mend; the rest needs a person, or time."""


class StallWatch:
    """Knows since when a session stands still, and why."""

    def __init__(self, now_ms: int) -> None:
        self._still_since_ms = now_ms
        self._told: StallCause | None = None

    def moved(self, now_ms: int) -> None:
        """Take note of progress: something became durable here or there."""
        self._still_since_ms = now_ms

    def observe(self, pending: StallCause | None, now_ms: int) -> News | None:
        """Take what a session waits for, None for nothing; return what is new."""
        if pending is None:
            self._still_since_ms = now_ms
        if now_ms - self._still_since_ms < STALL_MS:
            pending = None
        if pending == self._told:
            return None
        self._told = pending
        return Stalled(pending) if pending is not None else Moving()

    def has_given_up(self, now_ms: int) -> bool:
        """Whether nothing has moved for so long that another link should be tried."""
        return now_ms - self._still_since_ms >= GIVE_UP_MS
