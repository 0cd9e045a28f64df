"""The deletions inside Yjs updates: which ones an edit added.

The Yjs library writes every deletion its document has ever seen into each update. A
one-word edit would carry thousands of them, and would claim to need all that they
name. So a local edit keeps only the deletions that it made itself.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from crdt.yjs_bytes import encode_number

Deletes: TypeAlias = Mapping[int, Sequence[tuple[int, int]]]
"""Half-open ranges of clocks, ascending and apart, per client id."""


def added(after: Deletes, before: Deletes) -> Deletes:
    """Return what `after` deletes and `before` did not."""
    result = {
        client: _without(ranges, before.get(client, ()))
        for client, ranges in after.items()
    }
    return {client: ranges for client, ranges in result.items() if ranges}


def joined(update: Deletes, known: Deletes) -> dict[int, list[tuple[int, int]]]:
    """Return all that is deleted of the clients that `update` names."""
    result = {}
    for client, ranges in update.items():
        whole: list[tuple[int, int]] = []
        for first, end in sorted((*ranges, *known.get(client, ()))):
            if whole and first <= whole[-1][1]:
                whole[-1] = whole[-1][0], max(end, whole[-1][1])
            else:
                whole.append((first, end))
        result[client] = whole
    return result


def encode_deletes(deletes: Deletes) -> bytes:
    """Return the end of an update that deletes these ranges."""
    numbers = [len(deletes)]
    for client, ranges in sorted(deletes.items(), reverse=True):
        numbers += (client, len(ranges))
        for first, end in ranges:
            numbers += (first, end - first)
    return b"".join(map(encode_number, numbers))


def _without(
    ranges: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    at = 0
    for first, end in ranges:
        start = first
        while at < len(known) and known[at][1] <= start:
            at += 1
        ahead = at
        while ahead < len(known) and known[ahead][0] < end:
            if start < known[ahead][0]:
                left.append((start, known[ahead][0]))
            start = max(start, known[ahead][1])
            ahead += 1
        if start < end:
            left.append((start, end))
    return left
