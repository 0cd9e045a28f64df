"""Looking for what must not be seen, in every form in which it could be written.

Rule: files are searched while the daemon works, not only at the end: a temporary file
that is gone again, or was deleted while open, has been on the disk all the same.
"""

import base64
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

_LEAST: Final = 12
"""Bytes of the shortest needle: shorter ones may be there by chance."""


def forms(secret: str | bytes) -> set[bytes]:
    """Return how a secret may stand in a file."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        # The characters that this secret alone decides, wherever it begins.
        encoded = base64.b64encode(b"\0" * shift + raw)[(shift * 8 + 5) // 6 :]
        whole = encoded[: (len(raw) * 8 - (6 - shift * 8 % 6) % 6) // 6]
        found |= {whole, whole.replace(b"+", b"-").replace(b"/", b"_")}
    found.add(base64.b32encode(raw).rstrip(b"=").lower()[: len(raw) * 8 // 5])
    if isinstance(secret, str):
        found |= {
            secret.encode("utf-16-le"),
            secret.encode("utf-16-be"),
            json.dumps(secret)[1:-1].encode(),
            quote(secret, safe="").encode(),
            repr(secret)[1:-1].encode(),
        }
    return {form for form in found if len(form) >= _LEAST}


@dataclass
class Lookout:
    """Searches files and remembers what it found where."""

    secrets: dict[str, set[bytes]] = field(default_factory=dict)
    """By name: the forms of each."""
    found: set[tuple[str, str]] = field(default_factory=set)
    """(name of the secret, place)."""
    searched: set[str] = field(default_factory=set)
    """Names of files that were searched."""

    def guard(self, name: str, secret: str | bytes) -> None:
        """Look for a secret from now on."""
        self.secrets[name] = forms(secret)
        assert self.secrets[name], name

    def search(self, place: str, content: bytes) -> None:
        """Note the secrets that stand in `content`."""
        self.searched.add(place)
        for name, needles in list(self.secrets.items()):
            if any(needle in content for needle in needles):
                self.found.add((name, place))

    def search_files(self, paths: Iterable[Path]) -> None:
        """Search files, those that vanish meanwhile left out."""
        for path in paths:
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if path.is_file():
                    self.search(str(path), path.read_bytes())

    def search_process(self, pid: int) -> None:
        """Search what others can see of a process, and what it deleted while open."""
        process = Path(f"/proc/{pid}")
        self.search_files([process / "cmdline", process / "environ"])
        with suppress(FileNotFoundError, ProcessLookupError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if "(deleted)" in os.readlink(descriptor):
                        self.search_files([descriptor])

    @contextmanager
    def watching(self, folders: Iterable[Path], pid: int) -> Iterator[None]:
        """Search the folders and a process again and again until the block ends.

        The store itself is searched before and after: it takes too long to see what
        else comes and goes meanwhile.
        """
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                for folder in folders:
                    paths = (path for path in folder.rglob("*") if not _is_store(path))
                    self.search_files(paths)
                self.search_process(pid)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            for folder in folders:
                self.search_files(folder.rglob("*"))


def _is_store(path: Path) -> bool:
    return path.name.startswith("store.db")
