"""A device that has forgotten envelopes of its own: it was copied, or set back.

It would write other envelopes under the same numbers, and be taken for a forger. So its
sessions end before that, as soon as somebody knows its envelopes better than it does.
"""

from typing import Final

from crdt.ids import DeviceId
from transport.sync_actions import EndCause
from transport.vectors import VersionVector

DOUBT_MS: Final = 5000
"""How long it may seem so: that others tell of an envelope before its author does, or
before it gets around in this process, passes by itself."""


class RollbackWatch:
    """Compares what two devices know of each other's own envelopes."""

    def __init__(self, me: DeviceId, peer: DeviceId) -> None:
        self._me = me
        self._peer = peer
        self._since_ms: int | None = None

    def observe(
        self, here: VersionVector, there: VersionVector, now_ms: int
    ) -> EndCause | None:
        """Return whose envelopes are better known to the other, if it lasts."""
        if there.get(self._me, 0) > here.get(self._me, 0):
            cause = EndCause.ROLLED_BACK_HERE
        elif here.get(self._peer, 0) > there.get(self._peer, 0):
            cause = EndCause.ROLLED_BACK_THERE
        else:
            self._since_ms = None
            return None
        if self._since_ms is None:
            self._since_ms = now_ms
        return cause if now_ms - self._since_ms >= DOUBT_MS else None
