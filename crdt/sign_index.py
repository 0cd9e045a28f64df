"""Which vectors may be near: the signs of all of them in memory, 48 bytes to a node.

The signs of a vector are 384 bits; how many differ between two vectors tells roughly
how far apart they point. Looking through all of them takes a millisecond for 100,000
nodes, and what comes out is ranked exactly afterwards (`crdt.meaning_reader`).

Rules of this file:
1. One thread writes, any may read: columns are replaced whole when they grow.
2. What is found is a suggestion: a reader may see a vector half written.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from crdt.closeness import Vectors, from_bytes

_WORDS: Final = 6
"""64-bit words of signs to a vector."""
_FIRST_ROOM: Final = 1_024
_NOWHERE: Final = 1_000
"""More than any two vectors can differ."""


class SignIndex:
    """Signs of vectors by node number."""

    def __init__(self) -> None:
        """Start empty."""
        self._signs = np.zeros((_WORDS, _FIRST_ROOM), np.uint64)
        self._is_held = np.zeros(_FIRST_ROOM, np.bool_)
        self.count = 0
        """Number of nodes that have a vector."""

    def put(self, numbers: Iterable[int], vectors: bytes) -> None:
        """Take vectors of nodes, one after the other, in the place of older ones."""
        rows = np.fromiter(numbers, np.int64)
        if not len(rows):
            return
        self._make_room(int(rows.max()))
        self._signs[:, rows] = _signs(from_bytes(vectors)).T
        self._is_held[rows] = True
        self.count = int(self._is_held.sum())

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget the vectors of nodes."""
        rows = np.fromiter(numbers, np.int64)
        self._is_held[rows[rows < len(self._is_held)]] = False
        self.count = int(self._is_held.sum())

    def candidates(self, asked: bytes, states: bytes, count: int) -> list[int]:
        """Return numbers of at most `count` nodes whose vectors may be nearest.

        `states` says of each node number whether it may be found: 1 if so.
        """
        is_held, columns = self._is_held, self._signs
        size = min(len(is_held), columns.shape[1], len(states))
        allowed = is_held[:size] & (np.frombuffer(states, np.uint8)[:size] == 1)
        differing = np.zeros(size, np.uint16)
        for column, word in zip(columns, _signs(from_bytes(asked))[0], strict=True):
            differing += np.bitwise_count(column[:size] ^ word)
        differing[~allowed] = _NOWHERE
        if size > count:
            nearest = np.argpartition(differing, count)[:count]
        else:
            nearest = np.arange(size)
        found: list[int] = nearest[differing[nearest] < _NOWHERE].tolist()
        return sorted(found)

    def _make_room(self, number: int) -> None:
        room = len(self._is_held)
        if number < room:
            return
        while room <= number:
            room *= 2
        signs = np.zeros((_WORDS, room), np.uint64)
        signs[:, : self._signs.shape[1]] = self._signs
        is_held = np.zeros(room, np.bool_)
        is_held[: len(self._is_held)] = self._is_held
        self._signs, self._is_held = signs, is_held


def _signs(vectors: Vectors) -> npt.NDArray[np.uint64]:
    """Return the signs of vectors, a row of words for each."""
    packed = np.packbits(vectors > 0, axis=1)
    signs: npt.NDArray[np.uint64] = packed.view(np.uint64)
    return signs
