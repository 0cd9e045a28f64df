"""Which names two devices do not share: ranges of both sets compared until they tell.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. A step needs nothing but the own names and what the peer said last: ranges with equal
   fingerprints are done, others are split in 16, few names are listed.
2. A step is bounded. What it has no room for becomes one range that is compared later;
   as that begins where the step ended, every step gets further.
3. Nothing that a peer says raises anything but `MalformedError`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from crdt.errors import MalformedError
from transport.circle_frames import (
    ID_BYTES,
    KEY_BYTES,
    Listed,
    Range,
    Split,
    Wanted,
)
from transport.sorted_names import (
    EMPTY_FINGERPRINT,
    FINGERPRINT_BYTES,
    SortedNames,
)

BUCKETS: Final = 16
MAX_LISTED: Final = 48
"""Up to so many names, to list them is cheaper than to split them."""
SHORT_ID_BYTES: Final = 8
MAX_STEP_BYTES: Final = 60 * 1024
_RANGE_BYTES: Final = 2 * KEY_BYTES + 32
"""What a range takes at most beside ids and fingerprints."""

_Bounds: TypeAlias = tuple[bytes, bytes]
"""Lower bound, and upper bound that is outside; an empty one has no end."""


@dataclass(slots=True)
class Step:
    """What one step of a comparison has found."""

    ranges: list[Range] = field(default_factory=list)
    """To be said to the peer; if none, both have seen all."""
    to_give: list[bytes] = field(default_factory=list)
    """Keys that are held here and not there."""
    lacking: int = 0
    """Names that the peer listed and that are not held here; where it did not list
    them, one for each range of which nothing is held."""
    spent_bytes: int = 0


def opening(names: SortedNames, id_bytes: int = SHORT_ID_BYTES) -> list[Range]:
    """Return what begins a comparison of everything."""
    return [_described(names, (b"", b""), 0, len(names), id_bytes)]


def answer(
    names: SortedNames, ranges: Sequence[Range], id_bytes: int = SHORT_ID_BYTES
) -> Step:
    """Take what the peer said of its names, and go on where they differ.

    Raises `MalformedError` if ranges are not in order or do not follow their format.
    """
    step = Step()
    spans = [each for said in ranges for each in _spans(said)]
    for (_, upper), (lower, _) in pairwise(bounds for bounds, _ in spans):
        if not upper or lower < upper:
            raise MalformedError(_DISORDER)
    for bounds, said in spans:
        if step.spent_bytes > MAX_STEP_BYTES:
            rest = (bounds[0], spans[-1][0][1])
            start, end = _place(names, rest)
            step.ranges.append(_printed(names, [rest], [(start, end)]))
            break
        _look(names, bounds, said, id_bytes, step)
    return step


def _look(
    names: SortedNames,
    bounds: _Bounds,
    said: bytes | Listed | Wanted,
    id_bytes: int,
    step: Step,
) -> None:
    """Compare one range; `said` is its fingerprint, or which ids are there."""
    start, end = _place(names, bounds)
    keys = names.keys[start:end]
    match said:
        case Listed():
            listed = _ids(said)
            held = {key[-said.id_bytes :] for key in keys}
            step.to_give += (key for key in keys if key[-said.id_bytes :] not in listed)
            lacking = sorted(listed - held)
            step.lacking += len(lacking)
            if lacking:
                packed = b"".join(lacking)
                _say(step, Wanted(*bounds, said.id_bytes, packed), len(packed))
        case Wanted():
            wanted = _ids(said)
            step.to_give += (key for key in keys if key[-said.id_bytes :] in wanted)
        case _ if said == names.fingerprint(start, end):
            pass
        case _ if said == EMPTY_FINGERPRINT:
            step.to_give += keys
        case _:
            step.lacking += not keys
            found = _described(names, bounds, start, end, id_bytes)
            listed_bytes = len(found.ids) if isinstance(found, Listed) else 0
            _say(step, found, listed_bytes or BUCKETS * FINGERPRINT_BYTES)


def _say(step: Step, found: Range, content_bytes: int) -> None:
    step.ranges.append(found)
    step.spent_bytes += content_bytes + _RANGE_BYTES


def _described(
    names: SortedNames, bounds: _Bounds, start: int, end: int, id_bytes: int
) -> Split | Listed:
    """Return what is said of a range of which the peer's fingerprint is not known.

    Of nothing that is the one fingerprint of nothing: the peer then gives all it has.
    """
    count = end - start
    if count == 0:
        return _printed(names, [bounds], [(start, end)])
    if count <= MAX_LISTED:
        ids = b"".join(key[-id_bytes:] for key in names.keys[start:end])
        return Listed(*bounds, id_bytes, ids)
    cuts = [start + count * bucket // BUCKETS for bucket in range(BUCKETS + 1)]
    edges = [_edge(names.keys[at - 1], names.keys[at]) for at in cuts[1:-1]]
    inner = list(pairwise([bounds[0], *edges, bounds[1]]))
    return _printed(names, inner, list(pairwise(cuts)))


def _printed(
    names: SortedNames, bounds: Sequence[_Bounds], places: Sequence[tuple[int, int]]
) -> Split:
    """Return adjoining ranges with the fingerprints of what is there."""
    prints = b"".join(names.fingerprint(start, end) for start, end in places)
    uppers = [upper for _, upper in bounds]
    return Split(bounds[0][0], _pack_bounds(bounds[0][0], uppers), prints)


def _edge(below: bytes, above: bytes) -> bytes:
    """Return the shortest bound that parts two keys."""
    return above[: _shared(below, above) + 1]


def _shared(one: bytes, other: bytes) -> int:
    """Return with how many same bytes both begin."""
    at = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            break
        at += 1
    return at


def _place(names: SortedNames, bounds: _Bounds) -> tuple[int, int]:
    """Return where a range begins and ends among names."""
    lower, upper = bounds
    return names.first_from(lower), names.first_from(upper) if upper else len(names)


def _spans(said: Range) -> Iterator[tuple[_Bounds, bytes | Listed | Wanted]]:
    """Yield the ranges that a peer speaks of, and what it says of each."""
    if not isinstance(said, Split):
        if said.upper and said.upper <= said.lower:
            raise MalformedError(_DISORDER)
        yield (said.lower, said.upper), said
        return
    lower, uppers = said.lower, _unpack_bounds(said.lower, said.bounds)
    if len(said.fingerprints) != len(uppers) * FINGERPRINT_BYTES:
        raise MalformedError(_DISORDER)
    for at, upper in enumerate(uppers):
        if (at and not lower) or (upper and upper <= lower):
            raise MalformedError(_DISORDER)
        begin = at * FINGERPRINT_BYTES
        yield (lower, upper), said.fingerprints[begin : begin + FINGERPRINT_BYTES]
        lower = upper


def _ids(said: Listed | Wanted) -> frozenset[bytes]:
    """Return the ids that a peer listed."""
    size, packed = said.id_bytes, said.ids
    if size not in {SHORT_ID_BYTES, ID_BYTES} or len(packed) % size:
        raise MalformedError(_DISORDER)
    return frozenset(packed[at : at + size] for at in range(0, len(packed), size))


def _pack_bounds(lower: bytes, uppers: Sequence[bytes]) -> bytes:
    """Return bounds, each as what it shares with the one before and what it adds."""
    packed, before = bytearray(), lower
    for upper in uppers:
        shared = _shared(before, upper)
        packed += bytes([shared, len(upper) - shared]) + upper[shared:]
        before = upper
    return bytes(packed)


def _unpack_bounds(lower: bytes, packed: bytes) -> list[bytes]:
    """Return the bounds that were packed, or raise `MalformedError`."""
    uppers: list[bytes] = []
    at, before = 0, lower
    while at < len(packed):
        shared, added = packed[at], packed[at + 1 : at + 2]
        end = at + 2 + (added[0] if added else KEY_BYTES)
        is_whole = shared <= len(before) and end <= len(packed)
        if not is_whole or shared + end - at - 2 > KEY_BYTES:
            raise MalformedError(_DISORDER)
        before = before[:shared] + packed[at + 2 : end]
        uppers.append(before)
        at = end
    return uppers


_DISORDER: Final = "A device compared ranges that do not follow their format."
