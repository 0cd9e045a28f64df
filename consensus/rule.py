"""The numbers of the rule rc1. Another number would be another rule.

Specification: docs/protocol/consensus.md.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

NAME: Final = "rc1"
BASE: Final = 5000
"""The similarity from which closeness counts, in basis points as all of them."""
LEAST: Final = 3
"""Authors that a node needs; the representatives that a star needs."""
OF_A_BRANCH: Final = 2
"""How many authors of one branch of invitations count at most."""
CONSENSUS_FROM: Final = 4
"""Counted authors from which a node is no longer only emerging."""
QUOTA: Final = 500
"""How many live contributions of an author take part."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How close is close enough, in basis points."""

    byte: int
    star: int
    """A contribution and the centre of a star."""
    merge: int
    """Two stars that become one group."""
    join: int
    """A contribution and the group that it joins."""


class Preset(Enum):
    """What the founders of a circle choose between, once."""

    STRICT = Thresholds(byte=0, star=7000, merge=8000, join=6500)
    BROAD = Thresholds(byte=1, star=6500, merge=8000, join=6000)
