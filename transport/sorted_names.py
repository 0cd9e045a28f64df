"""The names of a set in order, with the fingerprint of any run of them.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. A key is the epoch of a name, big-endian, and its id: 36 bytes, ordered as bytes.
2. A fingerprint is over the sum of ids and their number: what is added or taken away
   costs one addition, and a run of a sorted set one subtraction of two partial sums.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, Self

import numpy as np

from crdt.circle_items import ItemName
from transport.circle_frames import ID_BYTES, KEY_BYTES

FINGERPRINT_BYTES: Final = 16
_LIMB_BYTES: Final = 4
_LIMBS: Final = ID_BYTES // _LIMB_BYTES
_MODULUS: Final = 1 << (8 * ID_BYTES)


def key_of(name: ItemName) -> bytes:
    """Return the 36 bytes by which a name is ordered."""
    return name.epoch.to_bytes(4) + name.id


def name_of(key: bytes) -> ItemName:
    """Return the name that a key stands for."""
    return ItemName(int.from_bytes(key[:4]), key[4:])


def fingerprint(total: int, count: int) -> bytes:
    """Return the fingerprint of `count` ids whose sum, modulo 2^256, is `total`."""
    digest = hashlib.sha256(total.to_bytes(ID_BYTES) + count.to_bytes(8))
    return digest.digest()[:FINGERPRINT_BYTES]


EMPTY_FINGERPRINT: Final = fingerprint(0, 0)


class SortedNames:
    """A set of names at one moment, in the order of their keys."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.keys: Final[Sequence[bytes]] = sorted(keys)
        joined = np.frombuffer(b"".join(self.keys), np.uint8).reshape(-1, KEY_BYTES)
        ids = np.ascontiguousarray(joined[:, 4:]).view(">u4")
        # Below 2^32 names a sum of 32-bit limbs fits into 64 bits.
        self._sums = np.zeros((len(ids) + 1, _LIMBS), np.uint64)
        np.cumsum(ids, axis=0, dtype=np.uint64, out=self._sums[1:])

    @classmethod
    def of(cls, names: Iterable[ItemName]) -> Self:
        """Return names in order; 100,000 take a tenth of a second, less if they are."""
        return cls(map(key_of, names))

    def __len__(self) -> int:
        return len(self.keys)

    def first_from(self, bound: bytes) -> int:
        """Return the index of the first key that is not below `bound`."""
        return bisect_left(self.keys, bound)

    def fingerprint(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the fingerprint of the names from index `start` to before `end`."""
        end = len(self.keys) if end is None else end
        total = 0
        for limb in (self._sums[end] - self._sums[start]).tolist():
            total = (total << (8 * _LIMB_BYTES)) + limb
        return fingerprint(total % _MODULUS, end - start)
