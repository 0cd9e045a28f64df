"""Circles: rosters of persons."""

from crdt.circle_roster import (
    alias,
    circle_name,
    circle_preset,
    invitations,
    present_members,
)
from tests.support.circle_people import Circle


def test_a_circle_is_founded_and_others_are_invited() -> None:
    """All who are in a circle know its name, preset, members, inviters and key."""
    circle = Circle.of("ada", "bob")
    circle.welcome("bob", "cleo")
    circle.say("ada", "vouches", "cleo")

    roster = circle.membership("cleo").roster

    ada, bob, cleo = map(circle.key, ("ada", "bob", "cleo"))
    assert (circle_name(roster), circle_preset(roster)) == ("mill", 1)
    assert present_members(roster) == (ada, bob, cleo)
    assert alias(roster, cleo) == "cleo"
    assert invitations(roster) == {
        ada: (None, False),
        bob: (ada, False),
        cleo: (bob, True),
    }
    assert all(map(circle.opens, ("ada", "bob", "cleo")))
