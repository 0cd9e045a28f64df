"""Checkpoints on their way: sealed parts in a file without a name, given by number.

Rule: what lies here is ciphertext for members, and goes with the process.
"""

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from crdt.checkpoint_part import decode_part
from crdt.errors import StoreError
from transport.frames import PartialCheckpoint
from transport.sync_actions import Checkpoint

_KEPT: Final = 2
"""So many checkpoints are kept: somebody may want to go on with an earlier one."""


@dataclass(slots=True)
class _Spooled:
    id: bytes
    file: IO[bytes]
    ends: list[int] = field(default_factory=list)
    """Where each part ends."""


class CheckpointSpool:
    """Writes checkpoints of this device and gives their parts; for one thread."""

    def __init__(self, folder: Path, write: Callable[[], Iterator[bytes]]) -> None:
        """Take where files may lie, and what makes a checkpoint."""
        self._folder = folder
        self._write = write
        self._kept: OrderedDict[bytes, _Spooled] = OrderedDict()

    def __enter__(self) -> Self:
        """Return the spool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of everything."""
        for spooled in self._kept.values():
            spooled.file.close()
        self._kept.clear()

    def has(self, partial: PartialCheckpoint | None) -> bool:
        """Whether a checkpoint that broke off can be gone on with."""
        return partial is not None and partial.id in self._kept

    def write(self, partial: PartialCheckpoint | None) -> Checkpoint:
        """Make a checkpoint ready, or one that broke off if it is still there."""
        if partial is not None and (spooled := self._kept.get(partial.id)):
            return Checkpoint(spooled.id, partial.next_part, len(spooled.ends))
        spooled = self._spooled()
        self._kept[spooled.id] = spooled
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)[1].file.close()
        return Checkpoint(spooled.id, 0, len(spooled.ends))

    def part(self, checkpoint: bytes, index: int) -> bytes:
        """Return a part; raises `StoreError` if the checkpoint is not kept any more."""
        spooled = self._kept.get(checkpoint)
        if spooled is None:
            message = "A checkpoint was dropped while it was given; it begins anew."
            raise StoreError(message)
        start = spooled.ends[index - 1] if index else 0
        spooled.file.seek(start)
        return spooled.file.read(spooled.ends[index] - start)

    def _spooled(self) -> _Spooled:
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # it is kept
        try:
            parts = self._write()
            first = next(parts)
            spooled = _Spooled(decode_part(first).place.checkpoint, file)
            self._add(spooled, first)
            for part in parts:
                self._add(spooled, part)
        except BaseException:
            file.close()
            raise
        return spooled

    @staticmethod
    def _add(spooled: _Spooled, part: bytes) -> None:
        spooled.file.write(part)
        spooled.ends.append(spooled.file.tell())
