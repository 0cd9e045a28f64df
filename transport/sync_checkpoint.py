"""A checkpoint on its way to the peer: offered, wished for, written, sent by parts.

Specification: docs/protocol/sync.md. The peer takes one checkpoint at a time, from one
device: so it is offered first, and sent when it is wished for.
"""

from collections import deque
from dataclasses import dataclass, field

from crdt.ids import DeviceId
from transport.frames import CheckpointPart
from transport.sync_actions import (
    Action,
    Checkpoint,
    CheckpointProgress,
    LoadCheckpointPart,
    Report,
    Send,
)


@dataclass(slots=True, eq=False)
class Outgoing:
    """One checkpoint, from the offer to the acknowledgement of its last part."""

    pruned: tuple[DeviceId, int] | None
    """Device and number behind which nothing is held; None if the peer lacks much."""
    is_wished: bool = False
    _checkpoint: Checkpoint | None = None
    _next_part: int = 0
    _is_loading_part: bool = False
    _ends: deque[int] = field(default_factory=deque)
    """Where in the stream of bytes each part that is under way ends."""
    _done: int = 0

    @property
    def is_loading(self) -> bool:
        """Whether this device's own store owes an answer."""
        is_writing = self._checkpoint is None
        return self.is_wished and (is_writing or self._is_loading_part)

    def written(self, checkpoint: Checkpoint) -> None:
        """Take note that the checkpoint can be read."""
        first = min(checkpoint.first_part, checkpoint.total - 1)
        self._checkpoint = checkpoint
        self._next_part = self._done = first

    def next_load(self) -> list[Action]:
        """Return what has to be read for the next part."""
        checkpoint = self._checkpoint
        if checkpoint is None or self._is_loading_part:
            return []
        if self._next_part >= checkpoint.total:
            return []
        self._is_loading_part = True
        return [LoadCheckpointPart(checkpoint.id, self._next_part)]

    def loaded(self, index: int, part: bytes, end: int) -> list[Action]:
        """Send a part that ends at `end` in the stream of bytes."""
        if self._checkpoint is None:
            return []
        self._is_loading_part = False
        self._next_part = index + 1
        self._ends.append(end)
        checkpoint = self._checkpoint
        frame = CheckpointPart(checkpoint.id, index, checkpoint.total, part)
        return [Send(frame, is_bulk=True)]

    def acknowledged(self, through: int) -> list[Action]:
        """Report the parts that are durable by now."""
        before = self._done
        while self._ends and self._ends[0] <= through:
            self._ends.popleft()
            self._done += 1
        if self._checkpoint is None or self._done == before:
            return []
        total = self._checkpoint.total
        return [Report(CheckpointProgress(self._done, total, is_incoming=False))]

    @property
    def is_over(self) -> bool:
        """Whether all parts are durable at the peer."""
        return self._checkpoint is not None and self._done == self._checkpoint.total
