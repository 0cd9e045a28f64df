"""A folder of notes on the disk, read file by file. Links are not followed."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.interchange.markdown.notes import MAX_NOTE_BYTES, is_note
from daemon.interchange.records import Failure
from daemon.interchange.tar import ArchivedFile


def read_folder(root: Path) -> Iterator[ArchivedFile | Failure]:
    """Yield the notes below `root` in the order of their paths.

    What cannot be read is a failure; hidden files and folders are passed over.
    """
    failures: list[Failure] = []

    def report(error: OSError) -> None:
        failures.append(_failure(root, Path(error.filename), error.strerror))

    for folder, subfolders, names in os.walk(root, onerror=report):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if is_note(path.relative_to(root).as_posix()):
                yield _read(root, path)
    yield from failures


def _read(root: Path, path: Path) -> ArchivedFile | Failure:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return _failure(root, path, "it is a link or a device, not a file")
        if status.st_size > MAX_NOTE_BYTES:
            return _failure(root, path, f"it is larger than {MAX_NOTE_BYTES} bytes")
        content = path.read_bytes()
        name = path.relative_to(root).as_posix()
        name.encode()
    except UnicodeEncodeError:
        return _failure(root, path, "its name is not UTF-8 text")
    except OSError as error:
        return _failure(root, path, error.strerror)
    return ArchivedFile(name, content, status.st_mtime_ns // 1_000_000)


def _failure(root: Path, path: Path, detail: str | None) -> Failure:
    place = os.fsencode(path.relative_to(root)).decode(errors="replace")
    return Failure(place, detail or "it cannot be read")
