"""What the members of a circle hold in common, as sets that are made equal.

Rule: an item is known by the hash of its record, never by who brought it; what an item
says is for whoever decodes its kind.
"""

from dataclasses import dataclass
from enum import IntEnum


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
