"""Small disks that fill up or turn read-only, in a mount namespace of their own.

Nothing of them is seen outside, and they go with the process that holds them.
"""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_MOUNT: Final = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && echo mounted && cat'
_WAYS: Final = (("--mount",), ("--mount", "--user", "--map-root-user"))
"""As root, and as anybody on a system that has user namespaces."""
_BALLAST: Final = "ballast"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk in memory that the process `holder` keeps mounted at `root`."""

    root: Path
    holder: int
    way: tuple[str, ...]

    @property
    def prefix(self) -> list[str]:
        """The command that runs another one where the disk is mounted."""
        enter = ["nsenter", f"--target={self.holder}", "--mount"]
        if "--user" in self.way:
            enter += ["--user", "--preserve-credentials"]
        return [*enter, "--"]

    def seen(self, path: Path) -> Path:
        """Return how a path on the disk is called outside."""
        return Path(f"/proc/{self.holder}/root{path}")

    def fill(self) -> None:
        """Leave no room at all."""
        with self.seen(self.root / _BALLAST).open("ab", buffering=0) as ballast:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        ballast.write(b"\xff" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    os.fsync(ballast.fileno())

    def free(self) -> None:
        """Give all the room back."""
        self.seen(self.root / _BALLAST).unlink()

    def make_read_only(self) -> None:
        """Let nothing be written any more."""
        command = ["mount", "-o", "remount,ro", str(self.root)]
        subprocess.run([*self.prefix, *command], check=True)


@contextmanager
def small_disk(root: Path, size: str) -> Iterator[Disk]:
    """Mount a disk of a size such as `8m` at `root`, for those who ask for it."""
    root.mkdir()
    said = ""
    for way in _WAYS:
        command = ["unshare", *way, "sh", "-c", _MOUNT, "sh", size, str(root)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            if (said := holder.stdout.readline()) == "mounted\n":
                # `unshare` has become the shell, so this is who holds the disk.
                yield Disk(root, holder.pid, way)
                holder.stdin.close()
                return
    pytest.fail(f"neither root nor user namespaces may mount a disk here: {said}")
