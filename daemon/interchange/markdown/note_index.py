"""Which note a link means: by path or by name, in any case, as Obsidian does.

Of several notes of one name the first of these is meant: the one at exactly the
path given, the one beside the linking note, the nearest below it, the one with the
shortest path.
"""

import posixpath
import unicodedata
from typing import Final

from crdt.ids import NodeKey
from daemon.interchange.markdown.links import Link

_MAX_NAMESAKES: Final = 256
"""Candidates looked through per link: or a folder of namesakes would cost its square.
The note at the exact path and the one beside the linking note are found regardless."""


class NoteIndex:
    """The notes of a vault by what links may call them."""

    def __init__(self) -> None:
        self.keys: set[NodeKey] = set()
        self._by_path: dict[str, NodeKey] = {}
        self._by_name: dict[str, list[str]] = {}

    def add(self, path: str, key: NodeKey) -> None:
        """Add a note by its path without `.md`, and by its key."""
        self.keys.add(key)
        for name in {_folded(path), _folded(key)}:
            is_new = self._by_path.setdefault(name, key) == key
            # A note at the top has no other name than its path.
            if is_new and "/" in name:
                namesakes = self._by_name.setdefault(posixpath.basename(name), [])
                if len(namesakes) < _MAX_NAMESAKES:
                    namesakes.append(name)

    def resolve(self, link: Link, path: str) -> NodeKey | None:
        """Return the note that a link in the note at `path` means, if there is one."""
        exact = _folded(absolute_target(link, path))
        if exact in self._by_path or _is_anchored(link):
            return self._by_path.get(exact)
        name = _folded(link.target)
        folder = _folded(posixpath.dirname(path))
        for likely in (name, posixpath.join(folder, name)):
            if likely in self._by_path:
                return self._by_path[likely]
        namesakes = self._by_name.get(posixpath.basename(name), ())
        fitting = [path for path in namesakes if f"/{path}".endswith(f"/{name}")]
        if not fitting:
            return None
        below = f"{folder}/"
        nearest = min(fitting, key=lambda p: (not p.startswith(below), len(p), p))
        return self._by_path[nearest]


def absolute_target(link: Link, path: str) -> str:
    """Return the path from the top of the vault that a link in `path` names."""
    folder = posixpath.dirname(path) if link.is_relative or _is_dotted(link) else ""
    joined = posixpath.normpath(posixpath.join("/", folder, link.target))
    return joined.lstrip("/")


def _is_dotted(link: Link) -> bool:
    return link.target.startswith(("./", "../"))


def _is_anchored(link: Link) -> bool:
    """Whether the link names one place only, not any note of that name."""
    return _is_dotted(link) or link.target.startswith("/")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
