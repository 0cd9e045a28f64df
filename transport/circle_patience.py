"""How much a peer of a circle may say and ask for: what it costs is ours.

Specification: docs/protocol/circle-sync.md.
"""

from typing import Final

from transport.circle_actions import CircleEnd
from transport.circle_frames import CircleFrame, CircleState, Compare, Give

BURST: Final = 4000
PER_SECOND: Final = 1000
COMPARISONS_BURST: Final = 40
COMPARISONS_PER_SECOND: Final = 4
LEAST_APPETITE: Final = 10_000
SERVINGS: Final = 4
SERVING_SECONDS: Final = 300


class _Bucket:
    """Tokens that fill again with time."""

    def __init__(self, burst: float, per_second: float, now_ms: int) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = burst
        self._now_ms = now_ms

    def takes(self, tokens: int, now_ms: int) -> bool:
        """Take tokens; whether there were enough."""
        seconds = max(0, now_ms - self._now_ms) / 1000
        self._now_ms = max(now_ms, self._now_ms)
        filled = self._tokens + seconds * self._per_second
        self._tokens = min(self._burst, filled) - tokens
        return self._tokens >= 0


class CirclePatience:
    """Counts what a peer says, and what it is given because it asked."""

    def __init__(self, here: CircleState, now_ms: int) -> None:
        self._frames = _Bucket(BURST, PER_SECOND, now_ms)
        self._comparisons = _Bucket(COMPARISONS_BURST, COMPARISONS_PER_SECOND, now_ms)
        self._started_ms = now_ms
        self._number = 0
        self._served = 0
        self._count = sum(each.count for each in here.sets)

    def admit(self, frame: CircleFrame, now_ms: int) -> CircleEnd | None:
        """Return why the session ends if the peer may not say this now.

        Payloads have credit, and the turns of one comparison a limit of their own.
        """
        if isinstance(frame, Give):
            return None
        if isinstance(frame, Compare):
            is_next, self._number = frame.number != self._number, frame.number
            is_fine = not is_next or self._comparisons.takes(1, now_ms)
        else:
            is_fine = self._frames.takes(1, now_ms)
        return None if is_fine else CircleEnd.FLOODED

    def serve(self, count: int, here: CircleState, now_ms: int) -> CircleEnd | None:
        """Take how many items the peer is to be given; it may have all, some times."""
        self._count = max(self._count, sum(each.count for each in here.sets))
        self._served += count
        portion = max(LEAST_APPETITE, self._count)
        seconds = (now_ms - self._started_ms) / 1000
        allowed = portion * (SERVINGS + seconds / SERVING_SECONDS)
        return CircleEnd.GREEDY if self._served > allowed else None
