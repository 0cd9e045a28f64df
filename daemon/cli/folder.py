"""Folders of Markdown notes as tar streams, both ways, without a temporary file."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, cast

from crdt.errors import RefusedError

_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(slots=True)
class Notes:
    """The notes of one folder, and what became of its other files."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    """Relative paths, sorted."""
    archive_bytes: int = 2 * _BLOCK
    """Size of the archive, as far as it can be told before the files are read."""
    left_out: int = 0
    """What is no note: other suffixes, symbolic links, devices."""
    unreadable: list[str] = field(default_factory=list)
    """What could not be read, each with the reason; filled while streaming."""

    def stream(self) -> Iterator[bytes]:
        """Yield a tar archive (POSIX 1003.1-2001) of the notes, one after another."""
        for file in self.files:
            path = self.folder / file
            try:
                content = path.read_bytes()
                changed = int(path.stat().st_mtime)
            except OSError as error:
                self.unreadable.append(f"{file}: {error.strerror}")
                continue
            entry = tarfile.TarInfo(file.as_posix())
            entry.size, entry.mtime = len(content), changed
            yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            yield content + bytes(-len(content) % _BLOCK)
        yield bytes(2 * _BLOCK)


def find_notes(folder: Path) -> Notes:
    """Return the `.md` files of `folder`.

    Hidden folders are passed over: they hold the settings, the history and the trash
    of other programs.
    """
    notes = Notes(folder)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            is_note = path.suffix.lower() == ".md" and path.is_file()
            if is_note and not path.is_symlink():
                notes.files.append(path.relative_to(folder))
                blocks = -(-path.stat().st_size // _BLOCK)
                notes.archive_bytes += (1 + blocks) * _BLOCK
            else:
                notes.left_out += 1
    return notes


class Readable(Protocol):
    """Bytes on their way in."""

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes, none of them at the end."""


def unpack(stream: Readable, folder: Path) -> int:
    """Write the files of a tar stream into `folder`; return how many.

    Raises `RefusedError` if the archive is damaged or would write outside.
    """
    count = 0
    try:
        # The type asks for all of IO[bytes]; a stream is only ever read from.
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                # Not left to the library: its filters came with Python 3.11.4.
                if content is None or not _stays_inside(entry.name):
                    message = "The archive cannot be unpacked: it would write outside."
                    raise RefusedError(message)
                target = folder / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
                count += 1
    except tarfile.TarError as error:
        raise RefusedError(f"The archive cannot be unpacked: {error}") from error
    return count


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
