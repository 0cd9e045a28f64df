"""How many small frames a peer may send: what they cost is ours, so they are counted.

Envelopes and parts of checkpoints have credit of their own, and statements are sent one
frame at a time; all other frames take a token of a bucket that fills with time.
"""

from typing import Final

from transport.frames import CheckpointPart, Envelopes, Frame, Statements

BURST: Final = 4000
PER_SECOND: Final = 1000
ASIDE_BURST: Final = 200
ASIDES_PER_SECOND: Final = 50


class Patience:
    """Tokens for what a peer may send; time passes as it is told."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._tokens = float(BURST)
        self._asides = float(ASIDE_BURST)

    def pass_time(self, now_ms: int) -> None:
        """Fill the buckets for the time that has passed."""
        seconds = max(0, now_ms - self.now_ms) / 1000
        self.now_ms = now_ms
        self._tokens = min(BURST, self._tokens + seconds * PER_SECOND)
        self._asides = min(ASIDE_BURST, self._asides + seconds * ASIDES_PER_SECOND)

    def admits(self, frame: Frame, now_ms: int) -> bool:
        """Whether the peer may send this now; if not, it floods."""
        self.pass_time(now_ms)
        if isinstance(frame, Envelopes | CheckpointPart | Statements):
            return True
        self._tokens -= 1
        return self._tokens >= 0

    def admits_aside(self) -> bool:
        """Whether a frame that is handled elsewhere is handed on, or dropped."""
        self._asides -= 1
        if self._asides < 0:
            self._asides = 0
            return False
        return True
