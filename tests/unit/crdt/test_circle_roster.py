"""Circles: rosters of persons."""

import pytest

from crdt.circle_roster import (
    alias,
    circle_name,
    circle_preset,
    decode_founding,
    found_circle,
    invitations,
    is_admin,
    is_present,
    present_members,
)
from crdt.errors import ConflictError, ForgedError, InvalidError, MalformedError
from crdt.ids import CircleId, SpaceId
from crdt.roster import Fault, Roster
from crdt.roster_rules import CircleAnchor
from tests.support.circle_people import SPACE, Circle, founding, person


def there(circle: Circle, who: str | None = None) -> set[str]:
    """Return who is in the circle to a person, else to who has heard everything."""
    roster = circle.membership(who).roster if who else circle.roster()
    return {alias(roster, each) or "" for each in present_members(roster)}


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
    assert (is_admin(roster, ada), is_admin(roster, bob)) == (True, False)
    assert invitations(roster) == {
        ada: (None, False),
        bob: (ada, False),
        cleo: (bob, True),
    }
    assert all(map(circle.opens, ("ada", "bob", "cleo")))


@pytest.mark.parametrize(
    ("who", "verb", "whom", "rest", "fault"),
    [
        ("bob", "removes", "cleo", "", Fault.NO_AUTHORITY),
        ("bob", "removes", "ada", "", Fault.NO_AUTHORITY),
        ("bob", "vouches", "bob", "", Fault.NO_AUTHORITY),
        ("bob", "invites", "dan", "admin", Fault.NO_AUTHORITY),
        ("bob", "renames", "cleo", "x", Fault.NO_AUTHORITY),
        ("ada", "renames", "cleo", "x", Fault.NO_AUTHORITY),
        ("ada", "invites", "dan", "reader", Fault.FOREIGN_KIND),
        ("ada", "invites", "dan", "relay", Fault.FOREIGN_KIND),
        ("ada", "removes", "ada", "", Fault.ONESELF),
        ("ada", "removes", "dan", "", Fault.UNKNOWN_PERSON),
        ("ada", "vouches", "dan", "", Fault.UNKNOWN_PERSON),
        ("ada", "invites", "cleo", "", Fault.KNOWN_PERSON),
        ("dan", "renames", "dan", "x", Fault.NO_MEMBER),
        ("dan", "leaves", "", "", Fault.NO_MEMBER),
    ],
)
def test_what_may_not_be_stated_is_refused(
    who: str, verb: str, whom: str, rest: str, fault: Fault
) -> None:
    """The program does not write it, and others refuse it of those who write it."""
    circle = Circle.of("ada", "bob", "cleo")
    everything = [each.encoded for each in circle.everything()]
    circle.hear(who, everything)

    with pytest.raises(ConflictError, match=fault):
        circle.say(who, verb, whom, rest)
    statement = circle.forged(who, verb, whom, rest)

    assert circle.hear("ada", (statement.encoded,)) == 1
    assert circle.roster().joined_with((statement,)).refused == {statement.hash: fault}


@pytest.mark.parametrize("verb", ["leaves", "removes"])
def test_who_is_gone_states_nothing_more(verb: str) -> None:
    """Who left or was removed invites nobody, renames nobody and is not invited."""
    circle = Circle.of("ada", "bob")
    if verb == "leaves":
        circle.say("bob", "leaves")
    else:
        circle.say("ada", "removes", "bob")

    for whom, rest in (("invites", "cleo"), ("renames", "bob"), ("leaves", "")):
        with pytest.raises(ConflictError, match=Fault.GONE):
            circle.say("bob", whom, rest, "x" if whom == "renames" else "")
    with pytest.raises(ConflictError, match=Fault.KNOWN_PERSON):
        circle.say("ada", "invites", "bob")

    assert there(circle) == {"ada"}
    assert not is_present(circle.roster(), circle.key("bob"))
    assert invitations(circle.roster())[circle.key("bob")] == (
        circle.key("ada"),
        False,
    )


def test_a_removed_member_does_not_open_the_next_key() -> None:
    """Those who remain open the key of the next epoch, and can read all earlier."""
    circle = Circle.of("ada", "bob", "cleo")
    first = circle.roster().present_epoch

    circle.say("ada", "removes", "bob")

    assert circle.roster().present_epoch != first
    assert [name for name in ("ada", "bob", "cleo") if circle.opens(name)] == [
        "ada",
        "cleo",
    ]
    assert circle.membership("cleo").keys.epoch(first) is not None


def test_after_somebody_left_any_member_changes_the_key() -> None:
    """Leaving calls for a new key, which a writer may begin."""
    circle = Circle.of("ada", "bob", "cleo")

    circle.say("ada", "leaves")
    assert circle.roster().needs_rotation
    circle.say("cleo", "rotates")

    assert not circle.roster().needs_rotation
    assert [name for name in ("ada", "bob", "cleo") if circle.opens(name)] == [
        "bob",
        "cleo",
    ]


def test_whom_a_leaver_invited_at_the_same_time_stays() -> None:
    """Leaving makes nothing void, so nobody throws out others by leaving."""
    circle = Circle.of("ada", "bob")
    circle.is_apart = True
    left = circle.forged("bob", "leaves", "")

    circle.say("bob", "invites", "cleo")
    circle.hear("ada", (left.encoded,))

    assert there(circle) == {"ada", "cleo"}


def test_who_left_can_be_removed_so_that_nothing_backdated_stands() -> None:
    """An admin ends what somebody who left goes on to state as if they had not."""
    circle = Circle.of("ada", "bob")
    circle.is_apart = True
    backdated = circle.forged("bob", "invites", "eve")
    circle.say("bob", "leaves")
    circle.together()
    circle.say("ada", "removes", "bob")

    with pytest.raises(ConflictError, match=Fault.UNKNOWN_PERSON):
        circle.say("ada", "removes", "bob")
    circle.hear("ada", (backdated.encoded,))

    assert there(circle, "ada") == {"ada"}
    assert backdated.hash in circle.membership("ada").roster.void


def test_removal_leaving_and_inviting_at_the_same_time() -> None:
    """What each states apart comes to one circle; all who are in it open its key."""
    circle = Circle.of("ada", "bob", "cleo", "dan")
    circle.is_apart = True
    circle.say("ada", "removes", "bob")
    circle.say("cleo", "leaves")
    circle.welcome("dan", "eve")
    circle.welcome("bob", "fay")

    circle.settle()

    assert there(circle) == {"ada", "dan", "eve"}
    for name in ("ada", "dan", "eve"):
        assert circle.opens(name)
    for name in ("bob", "cleo", "fay"):
        assert not circle.opens(name)


def test_whose_inviter_was_removed_meanwhile_can_be_invited_again() -> None:
    """A pseudonym is spent by removal and leaving, not by an inviter's fate."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.is_apart = True
    circle.say("ada", "removes", "bob")
    circle.welcome("bob", "dan")
    circle.together()
    assert there(circle) == {"ada", "cleo"}

    circle.welcome("cleo", "dan")
    circle.together()

    assert there(circle) == {"ada", "cleo", "dan"}
    invited = invitations(circle.roster())
    assert invited[circle.key("dan")].inviter == circle.key("cleo")
    assert circle.opens("dan")


def test_who_left_is_not_invited_again_by_a_detour() -> None:
    """Leaving counts though the invitation has fallen, and against one made meanwhile.

    A consent that was given once could else be used for ever.
    """
    circle = Circle.of("ada", "bob", "cleo")
    circle.is_apart = True
    circle.welcome("bob", "dan")
    circle.say("dan", "leaves")
    circle.say("ada", "removes", "bob")
    circle.say("cleo", "invites", "dan")
    circle.hear("ada", [each.encoded for each in circle.everything()])
    assert there(circle) == {"ada", "cleo"}

    circle = Circle.of("ada", "bob", "cleo")
    circle.is_apart = True
    circle.welcome("bob", "dan")
    circle.say("dan", "leaves")
    circle.say("ada", "removes", "bob")
    circle.together()

    with pytest.raises(ConflictError, match=Fault.KNOWN_PERSON):
        circle.say("cleo", "invites", "dan")
    circle.say("ada", "removes", "dan")
    assert there(circle) == {"ada", "cleo"}


def test_who_was_removed_is_not_invited_again_by_a_detour() -> None:
    """A removal counts though the invitation that it was about has fallen."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.say("ada", "invites", "hal", "admin")
    circle.is_apart = True
    circle.welcome("bob", "dan")
    circle.hear("hal", [each.encoded for each in circle.everything()])
    circle.say("hal", "removes", "dan")
    circle.say("ada", "removes", "bob")
    circle.together()

    with pytest.raises(ConflictError, match=Fault.KNOWN_PERSON):
        circle.say("cleo", "invites", "dan")

    assert there(circle) == {"ada", "cleo", "hal"}


def test_a_statement_of_another_circle_is_refused() -> None:
    """Circles do not mix, even if their founders chose the same random bytes."""
    circle, twin = Circle("ada"), Circle("bob")
    other = founding("cleo", SpaceId(b"another circle.."))
    twin.say("bob", "invites", "dan")

    assert circle.hear("ada", (other.encoded, twin.founding.encoded)) == 2
    assert circle.hear("ada", [each.encoded for each in twin.everything()]) >= 1

    assert there(circle) == {"ada"}
    roster = Roster.about(
        CircleAnchor(circle.id, SPACE), (other, twin.founding, circle.founding)
    )
    assert set(roster.refused.values()) == {Fault.FOREIGN_CIRCLE}


def test_a_founding_statement_that_is_another_is_forged() -> None:
    """The circle's id is the hash of what founded it."""
    circle = Circle.of("ada", "bob")
    invitation = next(each for each in circle.everything() if each.parents)

    with pytest.raises(ForgedError):
        decode_founding(founding("bob").encoded, circle.id)
    with pytest.raises(MalformedError):
        decode_founding(invitation.encoded)
    with pytest.raises(MalformedError):
        decode_founding(invitation.encoded, CircleId(invitation.hash))
    assert decode_founding(circle.founding.encoded, circle.id) == circle.founding


def test_a_circle_is_nothing_before_its_founding_is_known() -> None:
    """What is heard before waits, and nothing is stated meanwhile."""
    circle = Circle.of("ada", "bob")
    rest = [each.encoded for each in circle.everything() if each.parents]

    assert circle.hear("cleo", rest) == 0
    membership = circle.membership("cleo")
    assert len(membership.roster.waiting) == len(rest)
    assert membership.present_epoch is None
    with pytest.raises(ConflictError):
        circle_name(membership.roster)
    with pytest.raises(ConflictError):
        circle.say("cleo", "leaves")


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "x" * 256])
def test_names_are_text_that_can_be_read(name: str) -> None:
    """Neither circle nor founder is called what nobody can read."""
    for wrong in ({"name": name}, {"name": "mill", "alias": name}):
        with pytest.raises(InvalidError):
            found_circle(person("ada"), SPACE, bytes(32), preset=0, **wrong)


def test_one_who_floods_is_not_heard_beyond_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A circle keeps no more bytes of statements than its limit."""
    circle = Circle.of("ada", "bob")
    held = sum(len(each.encoded) for each in circle.everything())
    circle.is_apart = True
    circle.say("bob", "renames", "bob", "b")
    circle.say("bob", "renames", "bob", "bo")
    new = circle.membership("bob").statements_since(circle.membership("ada"))
    room = held + len(new[0])
    monkeypatch.setattr("crdt.circle_membership.MAX_BYTES_OF_STATEMENTS", room)

    assert circle.hear("ada", new) == 1
    assert len(circle.membership("ada").statements) == 4
