"""What a member's device should state about a circle's keys now, and who goes first.

Specification: docs/protocol/circle-roster.md. Rules of this file:

1. Whoever is in the circle and has the present key may grant it to those who lack it;
   whoever is in the circle may begin a new epoch where one is needed.
2. All who see the same roster agree on the turns. Each waits for its turn, looks again
   and states what is still to be stated: two that state the same do no harm.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from crdt.circle_membership import CircleMembership
from crdt.ids import DeviceId
from crdt.roster_writing import grant, rotate


class DutyKind(Enum):
    """What is to be stated."""

    GRANT = "grant"
    """The keys, for a member who was not given the present one."""
    ROTATE = "rotate"
    """A new key, as somebody who is gone may have the present one, or as this device
    cannot open what was sealed to it."""


@dataclass(frozen=True, slots=True)
class Duty:
    """One statement that this device may make."""

    kind: DutyKind
    member: DeviceId | None
    """To whom keys are granted; None for a new epoch."""
    turn: int
    """How many go first: who is fourth waits three turns, and looks again."""


def duties(membership: CircleMembership) -> tuple[Duty, ...]:
    """Return what this device should state.

    Where a new epoch is due, nothing is granted: it is sealed to all who are there.
    """
    roster = membership.roster
    own = roster.member(membership.identity.device)
    if own is None or not own.may_read:
        return ()
    if roster.needs_rotation or membership.present_epoch is None:
        if roster.waiting:
            return ()
        return (Duty(DutyKind.ROTATE, None, _turn_to_rotate(membership)),)
    return tuple(
        Duty(DutyKind.GRANT, device, _turn_to_grant(membership, device))
        for device in sorted(roster.ungranted)
    )


def fulfilled(
    membership: CircleMembership, duty: Duty, new_epoch_secret: bytes
) -> CircleMembership:
    """Return the membership with what a duty is to state.

    `new_epoch_secret` is 32 fresh random bytes. Raises `ConflictError` if it cannot be
    stated any more.
    """
    member = duty.member
    if member is not None:
        return membership.saying(
            lambda roster, identity, keys: grant(roster, identity, keys, member)
        )
    return membership.saying(
        lambda roster, identity, keys: rotate(roster, identity, keys, new_epoch_secret)
    )


def _turn_to_rotate(membership: CircleMembership) -> int:
    """Return when to begin an epoch: who has the present key first, for a way back."""
    roster, own = membership.roster, membership.identity.device
    holders = set(roster.ranked) - roster.ungranted
    turns = _in_turns(roster.present_epoch, holders)
    if membership.present_epoch is None:
        # The others may grant it what it lacks before this device helps itself.
        lacking = {*roster.ungranted, own}
        turns = [each for each in turns if each != own]
        turns += _in_turns(roster.present_epoch, lacking)
    return turns.index(own)


def _turn_to_grant(membership: CircleMembership, newcomer: DeviceId) -> int:
    """Return when to grant: who invited the newcomer first."""
    roster, own = membership.roster, membership.identity.device
    turns = _in_turns(newcomer, set(roster.ranked) - roster.ungranted)
    inviter = roster.members[newcomer].inviter
    turns.sort(key=lambda each: each != inviter)
    return turns.index(own) if own in turns else len(turns)


def _in_turns(subject: bytes, devices: Iterable[DeviceId]) -> list[DeviceId]:
    """Return devices in an order that differs from subject to subject."""
    return sorted(devices, key=lambda device: hashlib.sha256(subject + device).digest())
