"""Small files that only their owner may read, written whole or not at all."""

import os
import stat
from pathlib import Path
from typing import Final

from crdt.errors import KeyUnavailableError

_MAX_BYTES: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_small(path: Path, *, is_secret: bool) -> bytes:
    """Return the content of a small file.

    Raises `KeyUnavailableError` if it cannot be read or, when `is_secret`, if anyone
    but its owner has rights to it.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, so that it cannot be exchanged after the check.
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise KeyUnavailableError(msg) from None
    if is_secret and mode & _OTHERS:
        msg = f"{path} can be read by others, so it is not used: run  chmod 600 {path}"
        raise KeyUnavailableError(msg)
    if len(content) > _MAX_BYTES:
        msg = f"{path} is too long for what it should hold: restore it from a backup."
        raise KeyUnavailableError(msg)
    return content


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 so that a crash leaves it whole or absent.

    Raises `KeyUnavailableError` if the disk refuses.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}."
        raise KeyUnavailableError(msg) from None


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
