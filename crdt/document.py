"""Yjs documents: the only file that knows pycrdt.

Rules of this file:
1. Nothing foreign reaches pycrdt before `crdt.yjs_update` has parsed it whole.
2. The bytes of a remote update are what is kept, never what pycrdt reports back: an
   update across a gap is reported empty.
3. One thread at a time uses a document.
4. Nothing observes a document: a callback would keep it in memory for ever (pycrdt
   issue 421). What an edit changed is told from the states before and after it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
import pycrdt

from crdt.errors import MalformedError
from crdt.yjs_deletes import Deletes, added, encode_deletes
from crdt.yjs_profile import BODY, BODY_TEXT, EDGES, NODES, SHARD, Profile
from crdt.yjs_update import decode_state_vector, parse

_AnyDocument: TypeAlias = "pycrdt.Doc[pycrdt.Map[str]] | pycrdt.Doc[pycrdt.Text]"
_decode_map: Final = msgspec.json.Decoder(dict[str, Any]).decode


class ShardDocument:
    """The two maps of one shard, loaded."""

    def __init__(self, client_id: int, updates: Iterable[bytes]) -> None:
        """Load a document from the updates that make it, in order.

        Raises `MalformedError` if one of them does not apply.
        """
        self._document: pycrdt.Doc[pycrdt.Map[str]] = pycrdt.Doc(client_id=client_id)
        self._maps: dict[str, pycrdt.Map[str]] = {
            name: self._document.get(name, type=pycrdt.Map) for name in (NODES, EDGES)
        }
        for update in updates:
            self.apply(update)

    def apply(self, update: bytes) -> None:
        """Merge an update that the parser accepted, or raise `MalformedError`."""
        _apply(self._document, update)

    def write(self, entries: Sequence[tuple[str, str, str]]) -> bytes:
        """Set (map, key, value) entries and return the update that says so."""
        edit = _Edit(self._document, SHARD)
        with self._document.transaction():
            for name, key, value in entries:
                self._maps[name][key] = value
        return edit.update()

    def entries(self) -> dict[str, dict[str, str]]:
        """Return all entries by map and key; a value that is no string is left out."""
        # As one JSON text: asked item by item, pycrdt takes ten times as long.
        return {
            name: {
                key: value
                for key, value in _decode_map(str(content)).items()
                if isinstance(value, str)
            }
            for name, content in self._maps.items()
        }

    def clocks(self) -> dict[int, int]:
        """Return how far each client's changes are merged without a gap."""
        return decode_state_vector(self._document.get_state())

    def snapshot(self) -> bytes:
        """Return one update that makes this document; wrong while a gap is open."""
        return self._document.get_update()


class BodyDocument:
    """The long text of one node, loaded."""

    def __init__(self, client_id: int, updates: Iterable[bytes]) -> None:
        """Load a body from the updates that make it, in order."""
        self._document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=client_id)
        self._text: pycrdt.Text = self._document.get(BODY_TEXT, type=pycrdt.Text)
        for update in updates:
            _apply(self._document, update)

    def apply(self, update: bytes) -> None:
        """Merge an update that the strict parser accepted.

        Raises `MalformedError` if it does not apply, or if it would cut one of the
        text's characters in two, after which pycrdt miscounts.
        """
        held = parse(self._document.get_update(), BODY)
        if parse(update, BODY).splits_pair(held.pair_halves, self.clocks()):
            message = "An update of a body cuts a character in two; it was dropped."
            raise MalformedError(message)
        _apply(self._document, update)

    def text(self) -> str:
        """Return the text."""
        return str(self._text)

    def replace(self, text: str) -> bytes:
        """Make the text read `text`, touching only what differs; return the update.

        The longest common start and end stay as they are, so that somebody else's
        concurrent edit there keeps its place.
        """
        edit = _Edit(self._document, BODY)
        old, new = self.text().encode(), text.encode()
        start = _common_start(old, new)
        end = _common_start(old[start:][::-1], new[start:][::-1])
        start, end = _whole_characters(old, start, end)
        with self._document.transaction():
            if len(old) - end > start:
                del self._text[start : len(old) - end]
            if len(new) - end > start:
                self._text.insert(start, new[start : len(new) - end].decode())
        return edit.update()

    def clocks(self) -> dict[int, int]:
        """Return how far each client's changes are merged without a gap."""
        return decode_state_vector(self._document.get_state())

    def snapshot(self) -> bytes:
        """Return one update that makes this document; wrong while a gap is open."""
        return self._document.get_update()


def merge(updates: Sequence[bytes]) -> bytes:
    """Join updates into one that keeps what waits for a missing one."""
    return pycrdt.merge_updates(*updates)


class _Edit:
    """Tells which update an edit made, from what the document was before it."""

    def __init__(self, document: _AnyDocument, profile: Profile) -> None:
        self._document = document
        self._profile = profile
        self._state = document.get_state()
        self._deletes = self._all_deletes()[1]

    def update(self) -> bytes:
        """Return the update that made the document what it is now."""
        encoded, deletes = self._all_deletes()
        update = self._document.get_update(self._state)
        structs = update[: len(update) - len(encoded)]
        return structs + encode_deletes(added(deletes, self._deletes))

    def _all_deletes(self) -> tuple[bytes, Deletes]:
        """Return every deletion of the document, encoded and decoded."""
        nothing_new = self._document.get_update(self._document.get_state())
        return nothing_new[1:], parse(nothing_new, self._profile).deletes


def _apply(document: _AnyDocument, update: bytes) -> None:
    try:
        document.apply_update(update)
    except BaseException as error:
        # pycrdt turns a Rust panic into a BaseException of its own; whatever an
        # update that passed the parser does, the document is dropped by the caller.
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        message = "An update was refused by the document it belongs to."
        raise MalformedError(message) from error


def _common_start(left: bytes, right: bytes) -> int:
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole_characters(old: bytes, start: int, end: int) -> tuple[int, int]:
    """Shrink a common start and end until they fall between UTF-8 characters."""
    while start and start < len(old) and old[start] & 0xC0 == 0x80:
        start -= 1
    while end and old[len(old) - end] & 0xC0 == 0x80:
        end -= 1
    return start, end
