"""Node keys by number and numbers by key, in a few bytes per node.

Numbers run from 1 in order of first mention and are the row numbers of the read
model. Keys stand one behind the other in an arena; a sorted column of 64-bit hashes
finds them; recent ones wait in a dict until they are folded in.

Rules of this file:
1. One thread adds, folds and truncates; any thread may look up meanwhile. So what
   readers touch is replaced whole, the sorted columns before the dict.
2. A hash only narrows; equality is decided on the key's bytes.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import numpy as np

from crdt.ids import NodeKey, key_hash

_FOLD_AT_LEAST: Final = 16_384
_FOLD_FRACTION: Final = 16
_SPREAD: Final = 96


class KeyTable:
    """The keys of all nodes that a graph knows, visible or not."""

    def __init__(self) -> None:
        """Start with no key."""
        self._arena = bytearray()
        self._ends = array("Q", [0])
        self._recent: dict[str, int] = {}
        self._recent_hashes = (1, array("Q"))
        """Hashes of recent keys, behind the number of the first of them."""
        self._sorted = _sorted_columns(np.empty(0, np.uint64), np.empty(0, np.uint32))

    def __len__(self) -> int:
        """Return the greatest number in use."""
        return len(self._ends) - 1

    def number(self, key: str) -> int:
        """Return the number of `key`, or 0 if it is not known or no valid Unicode."""
        recent = self._recent.get(key)
        if recent is not None:
            return recent
        encoded = key.encode("utf-8", "surrogatepass")
        wanted = int.from_bytes(blake2b(encoded, digest_size=8).digest())
        hashes, numbers = self._sorted
        count = len(hashes)
        # Hashes are spread evenly, so a guess lands near, and a second one nearer.
        low = high = 0
        guess = wanted * count >> 64
        if guess < count:
            guess += (wanted - hashes[guess]) * count >> 64
            low, high = guess - _SPREAD, guess + _SPREAD
        if not (0 <= low and high < count and hashes[low] < wanted <= hashes[high]):
            low, high = 0, count
        at = bisect_left(hashes, wanted, low, high)
        while at < len(hashes) and hashes[at] == wanted:
            number = numbers[at]
            if self._arena[self._ends[number - 1] : self._ends[number]] == encoded:
                return number
            at += 1
        return 0

    def numbers(self, wanted: int) -> list[int]:
        """Return the numbers of all keys with this `key_hash`; nearly always one."""
        first_recent, recent = self._recent_hashes
        found = [
            number
            for number, value in enumerate(recent, first_recent)
            if value == wanted
        ]
        hashes, numbers = self._sorted
        first, end = bisect_left(hashes, wanted), bisect_right(hashes, wanted)
        return [*numbers[first:end], *found]

    def key(self, number: int) -> NodeKey:
        """Return the key of a number that `number` or `add` returned."""
        ends = self._ends
        return NodeKey(self._arena[ends[number - 1] : ends[number]].decode())

    def keys(self, numbers: Iterable[int]) -> list[NodeKey]:
        """Return the keys of numbers, in order."""
        arena, ends = self._arena, self._ends
        return [NodeKey(arena[ends[n - 1] : ends[n]].decode()) for n in numbers]

    def add(self, key: NodeKey) -> int:
        """Return a new number for `key`, which must not be known yet."""
        self._arena += key.encode()
        self._ends.append(len(self._arena))
        number = len(self._ends) - 1
        self._recent_hashes[1].append(key_hash(key))
        self._recent[key] = number
        return number

    def truncate(self, length: int) -> None:
        """Forget every key with a number above `length`; none may be folded yet."""
        for number in range(len(self), length, -1):
            del self._recent[self.key(number)]
            self._recent_hashes[1].pop()
            self._ends.pop()
        del self._arena[self._ends[-1] :]

    def fold(self, *, everything: bool = False) -> None:
        """Move recent keys into the sorted columns when there are enough of them."""
        hashes, numbers = self._sorted
        limit = max(_FOLD_AT_LEAST, len(hashes) // _FOLD_FRACTION)
        if len(self._recent) < (1 if everything else limit):
            return
        first_recent, recent = self._recent_hashes
        fresh = np.array(recent, np.uint64)
        order = np.argsort(fresh, kind="stable")
        fresh = fresh[order]
        fresh_numbers = (order + first_recent).astype(np.uint32)
        old = np.asarray(hashes)
        places = np.searchsorted(old, fresh)
        self._sorted = _sorted_columns(
            np.insert(old, places, fresh),
            np.insert(np.asarray(numbers), places, fresh_numbers),
        )
        self._recent_hashes = (len(self) + 1, array("Q"))
        self._recent = {}

    def columns(self) -> dict[str, memoryview]:
        """Return what `restore` needs, after folding everything."""
        self.fold(everything=True)
        hashes, numbers = self._sorted
        return {
            "keys": memoryview(self._arena),
            "key_ends": memoryview(self._ends).cast("B"),
            "key_hashes": hashes.cast("B"),
            "key_numbers": numbers.cast("B"),
        }

    def restore(self, columns: Mapping[str, bytearray]) -> None:
        """Take over columns saved by `columns`."""
        self._arena = columns["keys"]
        self._ends = array("Q")
        self._ends.frombytes(columns["key_ends"])
        self._sorted = _sorted_columns(
            np.frombuffer(columns["key_hashes"], np.uint64),
            np.frombuffer(columns["key_numbers"], np.uint32),
        )
        self._recent_hashes = (len(self) + 1, array("Q"))
        self._recent = {}


def _sorted_columns(
    hashes: "np.ndarray[tuple[int], np.dtype[np.uint64]]",
    numbers: "np.ndarray[tuple[int], np.dtype[np.uint32]]",
) -> tuple["memoryview[int]", "memoryview[int]"]:
    return hashes.data, numbers.data
