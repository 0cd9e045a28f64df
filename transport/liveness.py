"""What a peer's silence means, and when to break ours.

Specification: docs/protocol/link.md. Times are milliseconds of a clock that never
goes back and goes on while the machine sleeps.
"""

from enum import Enum
from typing import Final

IDLE_MS: Final = 5_000
"""So long may a link be silent."""
WAITING_MS: Final = 1_000
"""So long, when something was said that the peer has not yet replied to."""
MISSES_UNTIL_SUSPECT: Final = 2
DROP_MS: Final = 15_000
WAKE_UP_MS: Final = 5_000
"""Who comes so late to look at the clock has slept, or stood still."""
GRACE_MS: Final = 3_000
"""So long has a peer to be heard after we slept."""


class Step(Enum):
    """What is to be done now."""

    WAIT = "wait"
    PING = "ping"
    DROP = "drop"


class Liveness:
    """One link's signs of life.

    Driven by what is sent, what is heard, and `expire` at each `deadline_ms`.
    """

    __slots__ = (
        "_heard_ms",
        "_pinged_ms",
        "_spoke_ms",
        "_unanswered",
        "_waits",
        "_wants_pong",
        "number",
        "rtt_ms",
    )

    def __init__(self, now_ms: float) -> None:
        self._heard_ms = now_ms
        self._spoke_ms = now_ms - IDLE_MS
        self._pinged_ms = now_ms
        self._waits = False
        self._wants_pong = False
        self._unanswered = 0
        self.number = 0
        """Of the last ping."""
        self.rtt_ms: float | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether the peer has let pings go by without a word."""
        return self._unanswered > MISSES_UNTIL_SUSPECT

    @property
    def deadline_ms(self) -> float:
        """When to call `expire`; may move with whatever is noted here."""
        interval = WAITING_MS if self._waits else IDLE_MS
        return min(self._spoke_ms + interval, self._heard_ms + DROP_MS)

    def sent(self, now_ms: float) -> None:
        """Note that the peer was told something: a word is expected from it."""
        if not self._waits:
            self._waits = True
            self._spoke_ms = now_ms

    def heard(self, now_ms: float) -> None:
        """Note that something came from the peer."""
        self._heard_ms = self._spoke_ms = now_ms
        self._waits = False
        self._unanswered = 0

    def answered(self, number: int, now_ms: float) -> None:
        """Note that a pong came."""
        if number == self.number and self._wants_pong:
            self._wants_pong = False
            self.rtt_ms = now_ms - self._pinged_ms
        self.heard(now_ms)

    def expire(self, now_ms: float) -> Step:
        """Return what the passing of time asks for."""
        late_ms = now_ms - self.deadline_ms
        if late_ms < 0:
            return Step.WAIT
        if late_ms >= WAKE_UP_MS:
            # The silence was ours: the peer gets a chance, but not a long one.
            self._heard_ms = now_ms - DROP_MS + GRACE_MS
            self._unanswered = 0
        elif now_ms >= self._heard_ms + DROP_MS:
            return Step.DROP
        self.number = (self.number + 1) % 2**32
        self._pinged_ms = self._spoke_ms = now_ms
        self._unanswered += 1
        self._waits = self._wants_pong = True
        return Step.PING
