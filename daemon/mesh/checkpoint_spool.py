"""Checkpoints on their way: sealed parts in a file without a name, given by number.

Rule: what lies here is ciphertext for members, and goes with the process.
"""

import errno
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from crdt.checkpoint_part import decode_part
from crdt.errors import DiskFullError, StoreError
from transport.frames import PartialCheckpoint
from transport.sync_actions import Checkpoint

_KEPT: Final = 4
"""So many checkpoints are kept, those asked for last: each may be on its way to another
device, or may be gone on with."""


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
        return self._goes_on(partial) is not None

    def write(self, partial: PartialCheckpoint | None) -> Checkpoint:
        """Make a checkpoint ready, or one that broke off if it is still there.

        Raises `StoreError`, a `DiskFullError` if there is no room for it.
        """
        spooled = self._goes_on(partial)
        if partial is not None and spooled is not None:
            self._kept.move_to_end(spooled.id)
            return Checkpoint(spooled.id, partial.next_part, len(spooled.ends))
        try:
            spooled = self._spooled()
        except OSError as error:
            raise _as_store_error(error) from error
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
        self._kept.move_to_end(checkpoint)
        start = spooled.ends[index - 1] if index else 0
        spooled.file.seek(start)
        return spooled.file.read(spooled.ends[index] - start)

    def _goes_on(self, partial: PartialCheckpoint | None) -> _Spooled | None:
        """Return what was kept of a checkpoint, if it has the part that comes next."""
        spooled = self._kept.get(partial.id) if partial is not None else None
        if partial is None or spooled is None:
            return None
        return spooled if partial.next_part < len(spooled.ends) else None

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


def _as_store_error(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "There is no room for a checkpoint for another device; nothing is lost."
            " Free some space: it is tried again."
        )
    return StoreError(
        "A checkpoint for another device could not be written; nothing is lost."
        " It is tried again."
    )
