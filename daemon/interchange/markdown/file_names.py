"""Paths that every file system can hold, for node keys that may be anything.

A vault's own keys become the paths they came from, so that its links stay true. What
some system forbids is replaced; where two keys would then meet, in any case of
letters, the later one gets a hash. The key itself stands in the note.
"""

import hashlib
import re
import unicodedata
from typing import Final

from crdt.ids import NodeKey
from daemon.interchange.labels import clipped

MAX_PART_BYTES: Final = 100
"""Of one folder or file name, room left for hash and suffix (some allow only 143)."""
_SUFFIX: Final = ".md"
_FORBIDDEN: Final = re.compile('[<>:"\\\\|?*\\x00-\\x1f]')
_PORTS: Final = [name + digit for name in ("com", "lpt") for digit in "123456789¹²³"]
_RESERVED: Final = frozenset(("con", "prn", "aux", "nul", *_PORTS))


class FileNames:
    """The paths given out so far."""

    def __init__(self) -> None:
        self._taken: set[bytes] = set()

    def path_for(self, key: NodeKey, ending: str = "") -> str:
        """Return a path that no other call returned, `ending` before its `.md`."""
        *folders, name = key.split("/")
        parts = [*map(_folder_name, folders), _safe(name) + ending]
        path = "/".join(parts)
        while not self._take(path):
            path += f"~{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        return path + _SUFFIX

    def _take(self, path: str) -> bool:
        """Note `path` as given out; False if its like was before."""
        # Eight bytes for each path: a vault of a million notes must not fill memory.
        folded = unicodedata.normalize("NFC", path.casefold()).encode()
        mark = hashlib.blake2b(folded, digest_size=8).digest()
        is_new = mark not in self._taken
        self._taken.add(mark)
        return is_new


def _folder_name(part: str) -> str:
    name = _safe(part)
    # `a.md/b` would need a folder of the name that the note `a` has.
    return f"{name}_" if name.casefold().endswith(_SUFFIX) else name


def _safe(part: str) -> str:
    name = clipped(_FORBIDDEN.sub("_", part), MAX_PART_BYTES)
    if name.startswith((".", " ")):
        name = f"_{name[1:]}"
    if not name or name[-1] in ". ":
        name = f"{name[:-1]}_"
    is_reserved = name.partition(".")[0].rstrip().casefold() in _RESERVED
    return f"_{name}" if is_reserved else name
