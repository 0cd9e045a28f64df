"""What the members of a circle hold in common, as sets that are made equal.

Rule: an item is known by the hash of its record, never by who brought it; what an item
says is for whoever decodes its kind.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_MODULUS: Final = 1 << 256


class ItemKind(IntEnum):
    """The sets of a circle, in the order in which devices make them equal."""

    STATEMENT = 0
    """Who belongs to the circle; travels unsealed, for it proves itself."""
    CARD = 1
    """Where a device of a member is."""
    CONTRIBUTION = 2
    VOTE = 3


@dataclass(frozen=True, slots=True, order=True)
class ItemName:
    """An item within the set of its kind."""

    epoch: int
    """Week of a contribution, 0 for all else."""
    id: bytes
    """SHA-256 of the record, without signatures."""


@dataclass(frozen=True, slots=True)
class Item:
    """One record as it is kept and handed on."""

    kind: ItemKind
    name: ItemName
    content: bytes
    """The record with what signs it."""


@dataclass(frozen=True, slots=True)
class SetSum:
    """A sum over the ids of a set, which follows what enters and what leaves."""

    total: int = 0
    """The ids as numbers, most significant byte first, added modulo 2**256."""
    count: int = 0

    def plus(self, identity: bytes) -> "SetSum":
        """Return the sum with one more id."""
        return SetSum(
            (self.total + int.from_bytes(identity)) % _MODULUS, self.count + 1
        )

    def minus(self, identity: bytes) -> "SetSum":
        """Return the sum without an id that was in it."""
        return SetSum(
            (self.total - int.from_bytes(identity)) % _MODULUS, self.count - 1
        )

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that are equal for equal sets: SHA-256 of total and count."""
        encoded = self.total.to_bytes(32) + self.count.to_bytes(8)
        return hashlib.sha256(encoded).digest()
