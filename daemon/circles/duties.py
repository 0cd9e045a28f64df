"""What members owe each other: keys for who lacks them, an epoch after who left.

Rules of this file:

1. Every member may do it, and one is enough: they wait for each other in order of
   seniority. If two do it at once, the roster's rules make them agree.
2. Whoever lacks the present key owes nothing: it has nothing to give.
"""

from dataclasses import dataclass
from typing import Final

from crdt.ids import DeviceId
from crdt.roster import Roster

STEP_MS: Final = 2_000
"""So much longer waits each member than the one before."""
LONGEST_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Duty:
    """What is to be stated."""

    is_rotation_due: bool = False
    """Somebody left who could still read."""
    lacking: tuple[DeviceId, ...] = ()
    """Members who were given no key of the present epoch."""

    def __bool__(self) -> bool:
        return self.is_rotation_due or bool(self.lacking)


def duty(roster: Roster, me: DeviceId, *, has_present_key: bool) -> Duty:
    """Return what somebody owes, as far as the roster is known."""
    own = roster.member(me)
    if own is None or own.is_removed or not has_present_key:
        return Duty()
    if roster.needs_rotation:
        return Duty(is_rotation_due=True)
    return Duty(lacking=tuple(sorted(roster.ungranted - {me})))


def patience_ms(roster: Roster, me: DeviceId, owed: Duty) -> int:
    """Return how long to wait for others to do it."""
    ranked = list(roster.ranked)
    if me not in ranked:
        return LONGEST_MS
    mine = [roster.member(each) for each in owed.lacking]
    if any(member is not None and member.inviter == me for member in mine):
        return 0
    return min(ranked.index(me) * STEP_MS, LONGEST_MS)
