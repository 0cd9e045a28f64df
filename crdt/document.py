"""Yjs documents: the only file that knows pycrdt.

Rules of this file:
1. Nothing foreign reaches pycrdt before `crdt.yjs_update` has parsed it whole.
2. The bytes of a remote update are what is kept, never what pycrdt reports back: an
   update across a gap is reported empty.
3. One thread at a time uses a document.
4. Nothing observes a document: a callback would keep it in memory for ever (pycrdt
   issue 421). What an edit changed is told from the states before and after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import msgspec
import pycrdt

from crdt.errors import ForgedError, MalformedError
from crdt.yjs_deletes import Deletes, added, encode_deletes, joined
from crdt.yjs_profile import BODY, BODY_TEXT, EDGES, NODES, SHARD, Profile
from crdt.yjs_structs import Id
from crdt.yjs_update import (
    EMPTY_UPDATE,
    ParsedUpdate,
    decode_state_vector,
    parse,
)

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
        self._client_id = client_id
        self._document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=client_id)
        self._text: pycrdt.Text = self._document.get(BODY_TEXT, type=pycrdt.Text)
        self._made_of = list(updates)
        for update in self._made_of:
            _apply(self._document, update)

    @cached_property
    def _held(self) -> "_Held":
        """What the document is made of, read once and then kept up."""
        made_of, self._made_of = self._made_of, []
        parsed = parse(merge(made_of) if made_of else EMPTY_UPDATE, BODY)
        is_whole = parsed.fits(self.clocks())
        return _Held(set(parsed.pair_halves), dict(parsed.deletes), is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether nothing in it waits for a missing update."""
        return self._held.is_whole

    @is_whole.setter
    def is_whole(self, value: bool) -> None:
        self._held.is_whole = value

    def has_pair_at(self, state: Mapping[int, int]) -> bool:
        """Whether a document with this state vector would begin inside a character."""
        return not self._held.halves.isdisjoint(state.items())

    def apply(self, update: bytes) -> None:
        """Merge an update that the strict parser accepted.

        Raises `MalformedError` if it does not apply, or if it would cut one of the
        text's characters in two, after which pycrdt miscounts; `ForgedError` if it
        writes in the name of this document's owner.
        """
        parsed = parse(update, BODY)
        self._check(parsed, {self._client_id})
        self._take(update, parsed)

    def edit(self, updates: Sequence[bytes], devices: AbstractSet[int]) -> list[bytes]:
        """Merge what Yjs clients did; return it without what was here before.

        A client that connects again repeats every deletion it ever made or saw.
        `devices` are the client ids of devices: nobody else begins to write under them.
        Raises `MalformedError` or `ForgedError`, after which the document is spoilt.
        """
        news = []
        for update in updates:
            parsed = parse(update, BODY)
            self._check(parsed, devices)
            deletes = added(parsed.deletes, self._held.deletes)
            if deletes or parsed.goes_beyond(self.clocks()):
                new = update[: parsed.deletes_at] + encode_deletes(deletes)
                self._take(new, parsed)
                news.append(new)
        return news

    def _check(self, update: ParsedUpdate, owners: AbstractSet[int]) -> None:
        state = self.clocks()
        if update.goes_beyond(state, owners):
            message = "An update of a body writes under the client id of a device."
            raise ForgedError(message)
        if update.splits_pair(self._held.halves, state):
            message = "An update of a body cuts a character in two; it was dropped."
            raise MalformedError(message)

    def _take(self, update: bytes, parsed: ParsedUpdate) -> None:
        fits = parsed.fits(self.clocks())
        _apply(self._document, update)
        self._held.add(parsed, fits=fits)

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
        update = edit.update()
        self._held.add(parse(update, BODY), fits=True)
        return update

    def clocks(self) -> dict[int, int]:
        """Return how far each client's changes are merged without a gap."""
        return decode_state_vector(self._document.get_state())

    def snapshot(self) -> bytes:
        """Return one update that makes this document; wrong while a gap is open."""
        return self._document.get_update()

    def state_vector(self) -> bytes:
        """Return how far each client's changes are merged, as Yjs writes it."""
        return self._document.get_state()

    def difference(self, state_vector: bytes) -> bytes:
        """Return what a document with this state lacks; wrong while a gap is open.

        The state vector was decoded before, and begins nowhere inside a character.
        """
        return self._document.get_update(state_vector)


def merge(updates: Sequence[bytes]) -> bytes:
    """Join updates into one that keeps what waits for a missing one."""
    return pycrdt.merge_updates(*updates)


@dataclass(slots=True)
class _Held:
    """What is known of all the updates that a body is made of."""

    halves: set[Id]
    """Second halves of surrogate pairs."""
    deletes: dict[int, Sequence[tuple[int, int]]]
    is_whole: bool
    """Whether nothing waits for a missing update."""

    def add(self, update: ParsedUpdate, *, fits: bool) -> None:
        """Take note of one more update."""
        self.halves |= update.pair_halves
        self.deletes |= joined(update.deletes, self.deletes)
        self.is_whole &= fits


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
