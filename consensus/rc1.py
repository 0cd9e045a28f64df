"""The rule rc1 as a function: a set of contributions has one consensus.

Specification: docs/protocol/consensus.md.
"""

from collections.abc import Iterable

from consensus.contribution import Contribution
from consensus.invitations import InviteTree
from consensus.resonance import Resonance
from consensus.result import Result
from consensus.rule import Preset


def consensus(
    circle: bytes,
    preset: Preset,
    invitations: InviteTree,
    records: Iterable[Contribution],
) -> Result:
    """Return the consensus of valid records of a circle, in whatever order."""
    resonance = Resonance(circle, preset)
    resonance.put(records)
    return resonance.result(invitations)
