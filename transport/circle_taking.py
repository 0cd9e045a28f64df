"""What the peer of a circle gives: durable, then acknowledged, and useful.

Specification: docs/protocol/circle-sync.md.
"""

from collections import Counter
from typing import Final

from crdt.circle_items import ItemKind
from transport.circle_actions import CircleAction, CircleEnd, Keep, Send
from transport.circle_frames import Acknowledge, Give
from transport.circle_giving import WINDOW_BYTES

MAX_USELESS_BYTES: Final = 16 * 1024 * 1024
USELESS_FRAME_BYTES: Final = 4096


class Taking:
    """Payloads that wait for the store."""

    def __init__(self) -> None:
        self.refusals: Final[Counter[ItemKind]] = Counter()
        """Items that were not taken here."""
        self.given: Final[Counter[ItemKind]] = Counter()
        """Payloads that came."""
        self._waiting: Final[Counter[ItemKind]] = Counter()
        self._waiting_bytes = 0
        self._received = 0
        self._useless_bytes = 0

    def waiting(self, kind: ItemKind) -> int:
        """Return how many payloads of a set the store has not dealt with."""
        return self._waiting[kind]

    def greeting(self) -> Send:
        """Acknowledge the peer's Hello; nothing else yet."""
        return Send(Acknowledge(0, 0))

    def receive(self, frame: Give, *, may_take: bool) -> list[CircleAction] | CircleEnd:
        """Take a payload; while paused it is let go of, and the peer told so."""
        size = len(frame.payload)
        self._waiting_bytes += size
        if self._waiting_bytes > WINDOW_BYTES:
            return CircleEnd.FLOODED
        self._waiting[frame.kind] += 1
        self.given[frame.kind] += 1
        if not may_take:
            return self.kept(frame.kind, size, new=0, refused=1)
        return [Keep(frame.kind, frame.payload)]

    def kept(
        self, kind: ItemKind, size: int, *, new: int, refused: int
    ) -> list[CircleAction] | CircleEnd:
        """Take what became of a payload, and tell the peer."""
        self._waiting[kind] -= 1
        self._waiting_bytes -= size
        self._received += size
        self.refusals[kind] += refused
        self._useless_bytes += max(size, USELESS_FRAME_BYTES)
        if new:
            self._useless_bytes = 0
        if self._useless_bytes > MAX_USELESS_BYTES:
            return CircleEnd.USELESS
        return [Send(Acknowledge(self._received, self.refusals.total()))]
