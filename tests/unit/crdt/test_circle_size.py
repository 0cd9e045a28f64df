"""How many persons a circle can have, however they come in."""

import pytest

from crdt.circle_roster import present_members
from crdt.circle_rules import MAX_PERSONS
from crdt.errors import ConflictError
from crdt.ids import DeviceId
from crdt.roster import Fault
from tests.support.circle_people import Circle

GUESTS = MAX_PERSONS - 2


def invitation(circle: Circle, who: str, guest: str) -> bytes:
    """Return how somebody invites a guest, knowing what they know."""
    return circle.forged(who, "invites", guest).encoded


def full_of(circle: Circle, who: str, count: int) -> list[bytes]:
    """Return invitations that somebody makes all at once."""
    return [invitation(circle, who, f"{who}'s guest {n}") for n in range(count)]


def test_no_more_are_invited_than_have_room() -> None:
    """Who knows of as many persons as a circle can have invites nobody else."""
    circle = Circle.of("ada", "bob")
    circle.hear("ada", full_of(circle, "ada", GUESTS))
    assert len(present_members(circle.roster())) == MAX_PERSONS

    with pytest.raises(ConflictError, match=Fault.FULL_CIRCLE):
        circle.say("ada", "invites", "eve")
    circle.say("bob", "leaves")
    circle.say("ada", "invites", "eve")

    assert len(present_members(circle.roster())) == MAX_PERSONS


def test_of_too_many_at_the_same_time_the_most_junior_wait() -> None:
    """A flood of invitations makes no circle too large for a new key.

    Whoever is left out comes in when there is room, and can be removed.
    """
    circle = Circle.of("ada", "bob")
    flood = full_of(circle, "bob", 200)
    circle.hear("ada", flood)
    bob, ada = circle.who("bob").author.device, circle.who("ada").author.device
    everything = circle.roster()

    there = set(everything.ranked)
    assert len(there) == MAX_PERSONS
    assert {ada, bob} < there
    assert set(everything.members) == there
    assert len(everything.void) == 200 - GUESTS
    circle.say("ada", "rotates")
    circle.say("ada", "removes", "bob")

    after = circle.roster()
    assert len(after.ranked) == MAX_PERSONS
    assert bob not in after.ranked
    assert len(set(after.ranked) - there) == 1


def test_a_guest_for_whom_there_is_no_room_states_nothing() -> None:
    """What somebody states who is not in the circle stands no more than they do."""
    circle = Circle.of("ada", "bob")
    for each in (
        invitation(circle, "bob", "zoe"),
        *full_of(circle, "bob", MAX_PERSONS),
    ):
        circle.hear("ada", (each,))
    roster = circle.roster()
    outside = next(
        name
        for name in ("zoe", *(f"bob's guest {n}" for n in range(MAX_PERSONS)))
        if DeviceId(circle.who(name).author.device) not in roster.ranked
    )
    circle.is_apart = True
    known = circle.membership("bob").statements.values()
    circle.hear(outside, [each.encoded for each in known])
    circle.hear(outside, (invitation(circle, "bob", outside),))
    circle.say(outside, "invites", "gil")
    circle.together()

    assert circle.who("gil").author.device not in circle.roster().members
    assert len(circle.roster().ranked) == MAX_PERSONS
