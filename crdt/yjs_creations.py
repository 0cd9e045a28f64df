"""Updates that do nothing but create entries of a shard, read back whole.

Specification: docs/protocol/yjs-update.md. Most of a graph's updates are such: made
without a document by `encode_creations`, they can be taken in without one as well.

Rule: what is not of exactly this form gives None, and the strict parser judges it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crdt.errors import MalformedError
from crdt.yjs_bytes import MAX_CLOCK, read_client, read_clock, read_number, read_text
from crdt.yjs_profile import ANY, ONE_STRING, SHARD
from crdt.yjs_structs import HAS_KEY
from crdt.yjs_update import MAX_STRUCTS

_HEADS: Final = {
    bytes((ANY | HAS_KEY,)) + parent: root for parent, root in SHARD.parents.items()
}
_HEAD_BYTES: Final = 4
_ONE_CLIENT: Final = b"\x01"
_NO_DELETES: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Creations:
    """One client's new entries, one behind the other."""

    client: int
    clock: int
    """Of the first entry; each takes one."""
    entries: Sequence[tuple[str, str, str]]
    """(map name, key, value), each key once."""

    @property
    def end(self) -> int:
        """One past the clock of the last entry."""
        return self.clock + len(self.entries)

    def by_map(self) -> dict[str, dict[str, str]]:
        """Return values by map and key."""
        content: dict[str, dict[str, str]] = {root: {} for root in _HEADS.values()}
        for root, key, value in self.entries:
            content[root][key] = value
        return content


def read_creations(update: bytes) -> Creations | None:
    """Return the entries that an update creates, None if it does anything else."""
    if update[:1] != _ONE_CLIENT or update[-1:] != _NO_DELETES:
        return None
    try:
        return _read(update)
    except (IndexError, MalformedError, UnicodeDecodeError):
        return None


def _read(update: bytes) -> Creations | None:
    count, at = read_number(update, 1)
    client, at = read_client(update, at, ())
    clock, at = read_clock(update, at)
    if not 0 < count <= MAX_STRUCTS or clock + count > MAX_CLOCK:
        return None
    entries: list[tuple[str, str, str]] = []
    for _ in range(count):
        root = _HEADS.get(update[at : at + _HEAD_BYTES])
        if root is None:
            return None
        key, at = read_text(update, at + _HEAD_BYTES)
        if update[at : at + 2] != ONE_STRING:
            return None
        value, at = read_text(update, at + 2)
        entries.append((root, key, value))
    is_whole = at == len(update) - 1
    is_new = len({entry[:2] for entry in entries}) == count
    return Creations(client, clock, entries) if is_whole and is_new else None
