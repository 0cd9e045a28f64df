"""What a session waits for: pending work, and whose turn it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from transport.frames import Condition, Refusal
from transport.sync_actions import StallCause
from transport.sync_receiving import Inflow
from transport.sync_roster import RosterTalk
from transport.sync_sending import Outflow
from transport.vectors import VersionVector, are_equal


@dataclass(slots=True)
class Conditions:
    """Whether either side takes envelopes."""

    here: Condition
    there: Condition

    @property
    def may_give(self) -> bool:
        """Whether this side gives and the other takes."""
        return self.there is Condition.READY and self.here is not Condition.PAUSED


def waited_for(
    roster: RosterTalk,
    inflow: Inflow,
    outflow: Outflow,
    here: VersionVector,
    conditions: Conditions,
) -> StallCause | None:
    """Return what a session waits for, None if everything is done."""
    if not roster.is_settled:
        return StallCause.BUSY_HERE if roster.is_busy else StallCause.NO_ANSWER
    if inflow.is_busy or outflow.is_loading:
        return StallCause.BUSY_HERE
    if outflow.in_flight_bytes:
        return StallCause.UNACKNOWLEDGED
    if are_equal(here, outflow.there):
        return None
    blocked = _blocked_by(conditions.here, conditions.there)
    if blocked is not None:
        return blocked
    if outflow.is_offering:
        return StallCause.CHECKPOINT_AWAITED
    if outflow.lacking:
        return _refused_there(outflow.blocked.values())
    return _refused_here(inflow.refused.values())


def _blocked_by(here: Condition, there: Condition) -> StallCause | None:
    """Return which of the two does not want to go on."""
    if here is Condition.PAUSED:
        return StallCause.PAUSED_HERE
    if there is Condition.PAUSED:
        return StallCause.PAUSED_THERE
    if there is Condition.DISK_FULL:
        return StallCause.DISK_FULL_THERE
    return StallCause.DISK_FULL_HERE if here is Condition.DISK_FULL else None


def _refused_there(refusals: Iterable[Refusal]) -> StallCause:
    """Return why the peer lacks envelopes that none are under way of."""
    kinds = set(refusals)
    if Refusal.NO_KEY in kinds:
        return StallCause.KEY_MISSING_THERE
    return StallCause.REFUSED_THERE if kinds else StallCause.BUSY_HERE


def _refused_here(refusals: Iterable[Refusal]) -> StallCause:
    """Return why envelopes are lacking here that the peer has."""
    kinds = set(refusals)
    if Refusal.NO_KEY in kinds:
        return StallCause.KEY_MISSING_HERE
    return StallCause.REFUSED_HERE if kinds else StallCause.WITHHELD
