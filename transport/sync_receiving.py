"""What a session takes from its peer: bounded, durable, then acknowledged.

Specification: docs/protocol/sync.md. Rules of this file:

1. Bytes are acknowledged when they are dealt with: stored durably, or refused.
2. Memory holds at most what the credit allows, whatever the peer does.
3. The peer is told of every entry of the vector that grew, whoever gave it to us.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from crdt.ids import DeviceId
from transport.frames import (
    MAX_REFUSALS,
    Acknowledge,
    CheckpointPart,
    Envelopes,
    Refusal,
    Refused,
)
from transport.sync_actions import (
    Action,
    CheckpointProgress,
    EndCause,
    Keep,
    KeepCheckpointPart,
    Report,
    Send,
)
from transport.sync_sending import WINDOW_BYTES
from transport.vectors import advances

KEEP_BYTES: Final = 1024 * 1024
MAX_USELESS_BYTES: Final = 16 * 1024 * 1024
"""What a peer may send in a row of which nothing is new: more than two windows."""
USELESS_FRAME_BYTES: Final = 4096
"""What a useless frame counts at least, so that tiny ones end as well."""


class Inflow:
    """The taking half of a session."""

    def __init__(self, held: Mapping[DeviceId, int]) -> None:
        self._told = dict(held)
        self._pending: deque[Envelopes | CheckpointPart] = deque()
        self._keeping: int | None = None
        """Bytes that are being stored."""
        self._frames_kept = 0
        self._received = 0
        self._acknowledged = 0
        self._useless = 0
        self.refused: dict[DeviceId, Refusal] = {}
        """Devices of which something was refused that is still lacking, and why."""
        self._expected: tuple[bytes, int, int] | None = None
        """Id, index and total of the next part, while a checkpoint comes in."""
        self.is_wishing = False
        """Whether the peer was told that its checkpoint is taken."""
        self.is_offered = False
        """Whether the peer waits for that."""
        self._part: KeepCheckpointPart | None = None
        """The part that is being stored."""

    @property
    def is_busy(self) -> bool:
        """Whether something waits for this device's own store."""
        return self._keeping is not None

    def receive(self, frame: Envelopes | CheckpointPart) -> list[Action] | EndCause:
        """Take a frame of data; return what is to be stored, or what is wrong."""
        size = _size(frame)
        waiting = self._received - self._acknowledged
        if waiting and waiting + size > WINDOW_BYTES:
            return EndCause.FLOODED
        if isinstance(frame, CheckpointPart) and not self._is_next_part(frame):
            return EndCause.BROKEN_CHECKPOINT
        self.is_offered = False
        self._received += size
        self._pending.append(frame)
        return self._keep_next()

    def stored(
        self,
        vector: Mapping[DeviceId, int],
        accepted: int,
        refusals: Sequence[tuple[DeviceId, int, Refusal]],
    ) -> list[Action] | EndCause:
        """Acknowledge what was being stored, and go on."""
        useless = max(self._keeping or 0, USELESS_FRAME_BYTES * self._frames_kept)
        self._useless = 0 if accepted else self._useless + useless
        if self._useless > MAX_USELESS_BYTES:
            return EndCause.USELESS
        actions = self._acknowledge(vector)
        for device, _, refusal in refusals:
            self.refused[device] = refusal
        for start in range(0, len(refusals), MAX_REFUSALS):
            some = tuple(refusals[start : start + MAX_REFUSALS])
            actions.append(Send(Refused(some)))
        return [*actions, *self._keep_next()]

    def part_kept(self, vector: Mapping[DeviceId, int]) -> list[Action]:
        """Acknowledge a part of a checkpoint, and go on."""
        actions = self._acknowledge(vector)
        part, self._part = self._part, None
        if part is not None:
            news = CheckpointProgress(part.index + 1, part.total, is_incoming=True)
            actions.append(Report(news))
        return [*actions, *self._keep_next()]

    def greet(self, vector: Mapping[DeviceId, int]) -> Action:
        """Answer a Hello."""
        return Send(Acknowledge(self._acknowledged, self._news(vector)))

    def tell(self, vector: Mapping[DeviceId, int]) -> list[Action]:
        """Tell the peer what has become durable here, if anything has."""
        news = self._news(vector)
        return [Send(Acknowledge(self._acknowledged, news))] if news else []

    def _acknowledge(self, vector: Mapping[DeviceId, int]) -> list[Action]:
        self._acknowledged += self._keeping or 0
        self._keeping = None
        return [Send(Acknowledge(self._acknowledged, self._news(vector)))]

    def _news(self, vector: Mapping[DeviceId, int]) -> dict[DeviceId, int]:
        news = advances(self._told, vector)
        self._told.update(news)
        for device in news:
            self.refused.pop(device, None)
        return news

    def _is_next_part(self, frame: CheckpointPart) -> bool:
        """Whether a part begins a checkpoint, or continues the one that is coming."""
        this = (frame.id, frame.index, frame.total)
        if self._expected is None and not self.is_wishing:
            return False
        if frame.index >= frame.total or self._expected not in {None, this}:
            return False
        self.is_wishing = False
        is_last = frame.index + 1 == frame.total
        self._expected = None if is_last else (frame.id, frame.index + 1, frame.total)
        return True

    def _keep_next(self) -> list[Action]:
        """Store what waits: many envelopes share one transaction."""
        if self._keeping is not None or not self._pending:
            return []
        first = self._pending.popleft()
        self._keeping, self._frames_kept = _size(first), 1
        if isinstance(first, CheckpointPart):
            self._part = KeepCheckpointPart(
                first.id, first.index, first.total, first.part
            )
            return [self._part]
        envelopes = list(first.envelopes)
        while self._pending:
            more = self._pending[0]
            size = self._keeping + _size(more)
            if isinstance(more, CheckpointPart) or size > KEEP_BYTES:
                break
            self._pending.popleft()
            self._keeping = size
            self._frames_kept += 1
            envelopes.extend(more.envelopes)
        return [Keep(envelopes)]


def _size(frame: Envelopes | CheckpointPart) -> int:
    """Return what a frame takes of the credit."""
    if isinstance(frame, CheckpointPart):
        return len(frame.part)
    return sum(map(len, frame.envelopes))
