"""The body of a Yjs update: structs by client, then the ranges that it deletes.

Specification: docs/protocol/yjs-update.md. The functions take the update and a
position, note in `Findings` what they meet, and return the position after it.
"""

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from crdt.errors import MalformedError
from crdt.yjs_bytes import (
    MAX_CLOCK,
    read_client,
    read_clock,
    read_length,
    read_number,
    read_text,
)
from crdt.yjs_profile import STRING, Profile

_GC: Final = 0
SKIP: Final = 10
_CONTENT: Final = 0x1F
HAS_KEY: Final = 0x20
_HAS_RIGHT: Final = 0x40
_HAS_LEFT: Final = 0x80
_BEYOND_16_BITS: Final = re.compile("[\U00010000-\U0010ffff]")

Id: TypeAlias = tuple[int, int]
"""(client id, clock) of one element of a document."""
Range: TypeAlias = tuple[int, int]
"""Half-open range of clocks: (first, one past the last)."""


@dataclass(slots=True)
class Findings:
    """What the pass has met so far."""

    clients: dict[int, Range] = field(default_factory=dict)
    needs: dict[int, int] = field(default_factory=dict)
    required: dict[int, int] = field(default_factory=dict)
    """Per client id, one past the last clock that an origin or a deletion names."""
    touched: list[tuple[str, str]] = field(default_factory=list)
    overwritten: list[Id] = field(default_factory=list)
    cuts: set[Id] = field(default_factory=set)
    pair_halves: set[Id] = field(default_factory=set)
    deletes: dict[int, list[Range]] = field(default_factory=dict)

    def require(self, client: int, clock: int) -> None:
        """Note that the struct before `clock` must be there."""
        if clock > self.required.get(client, 0):
            self.required[client] = clock


def read_clients(
    data: bytes, profile: Profile, max_structs: int, found: Findings
) -> int:
    """Read the structs of all clients into `found`; return the position after them."""
    section_count, at = read_number(data, 0)
    for _ in range(section_count):
        count, at = read_number(data, at)
        if count == 0:
            raise MalformedError("update: a client without structs")
        max_structs -= count
        if max_structs < 0:
            raise MalformedError("update: more structs than allowed")
        client, at = read_client(data, at, found.clients)
        at = _read_structs(data, at, (client, count), profile, found)
    return at


def _read_structs(
    data: bytes, at: int, section: tuple[int, int], profile: Profile, found: Findings
) -> int:
    client, count = section
    clock, at = read_clock(data, at)
    first = end = run = clock
    for _ in range(count):
        is_skip = data[at] == SKIP
        if not is_skip and clock != end:
            run = clock
        length, at = read_struct(data, at, (client, clock), profile, found)
        clock += length
        if not is_skip:
            end = clock
        if clock > MAX_CLOCK:
            raise MalformedError("update: a clock is too large")
    found.clients[client] = (first, end)
    found.needs[client] = run
    return at


def read_struct(
    data: bytes, at: int, place: Id, profile: Profile, found: Findings
) -> tuple[int, int]:
    """Read the struct at `place`; return how many clocks it takes, and its end."""
    info = data[at]
    if info in (_GC, SKIP):
        return read_length(data, at + 1)
    return _read_item(data, at + 1, (info, *place), profile, found)


def _read_item(
    data: bytes,
    at: int,
    head: tuple[int, int, int],
    profile: Profile,
    found: Findings,
) -> tuple[int, int]:
    """Read one item; next to a neighbour, its parent and key are the neighbour's."""
    info, client, clock = head
    if info & (_HAS_LEFT | _HAS_RIGHT):
        if info & _HAS_LEFT:
            left, at = _read_origin(data, at, client, clock)
            found.require(left[0], left[1] + 1)
            if profile.is_map:
                found.overwritten.append(left)
            else:
                found.cuts.add((left[0], left[1] + 1))
        if info & _HAS_RIGHT:
            if profile.is_map:
                raise MalformedError("update: a map entry with a right neighbour")
            right, at = _read_origin(data, at, client, clock)
            found.require(right[0], right[1] + 1)
            found.cuts.add(right)
    else:
        if (info & HAS_KEY != 0) != profile.is_map:
            raise MalformedError("update: an entry without a key, or a text with one")
        root = profile.parents.get(data[at : at + 3])
        if root is None:
            raise MalformedError("update: an item outside the roots of its document")
        at += 3
        if profile.is_map:
            key, at = read_text(data, at)
            found.touched.append((root, key))
    read_content = profile.contents.get(info & _CONTENT)
    if read_content is None:
        raise MalformedError("update: content of a kind its document does not hold")
    if info & _CONTENT == STRING:
        _note_pairs(data, at, client, clock, found)
    return read_content(data, at)


def _note_pairs(data: bytes, at: int, client: int, clock: int, found: Findings) -> None:
    text, _ = read_text(data, at)
    if text.isascii():
        return
    for pairs_before, match in enumerate(_BEYOND_16_BITS.finditer(text)):
        found.pair_halves.add((client, clock + match.start() + pairs_before + 1))


def _read_origin(data: bytes, at: int, client: int, clock: int) -> tuple[Id, int]:
    """Read the id of a neighbour of the item (client, clock)."""
    origin_client, at = read_client(data, at, ())
    origin_clock, at = read_clock(data, at)
    if origin_client == client and origin_clock >= clock:
        raise MalformedError("update: an item that names itself or its future")
    return (origin_client, origin_clock), at


def read_deletes(data: bytes, at: int, found: Findings) -> int:
    """Read what is deleted into `found`; return the position after it."""
    client_count, at = read_number(data, at)
    for _ in range(client_count):
        client, at = read_client(data, at, found.deletes)
        range_count, at = read_length(data, at)
        ranges: list[Range] = []
        previous_end = 0
        for _ in range(range_count):
            start, at = read_clock(data, at)
            length, at = read_length(data, at)
            if start < previous_end:
                raise MalformedError("update: deletions out of order")
            previous_end = start + length
            ranges.append((start, previous_end))
        if previous_end > MAX_CLOCK:
            raise MalformedError("update: a clock is too large")
        found.deletes[client] = ranges
        found.require(client, previous_end)
    return at
