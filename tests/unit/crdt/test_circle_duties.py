"""What members' devices should state about keys, and whose turn it is."""

import pytest

from crdt.circle_duties import DutyKind, duties, fulfilled
from crdt.circle_roster import found_circle
from crdt.roster_epochs import seal_epoch_key
from crdt.space_keys import epoch_key
from crdt.statement import sign_statement
from crdt.statement_kinds import Epoch, Grant, Role, Rotate
from tests.support.circle_people import SPACE, Circle, person

ROTATE = DutyKind.ROTATE
GRANT = DutyKind.GRANT


def turns(circle: Circle) -> dict[str, list[tuple[DutyKind, int]]]:
    """Return by name what each is to state, and who goes when."""
    return {
        name: [(each.kind, each.turn) for each in duties(membership)]
        for name, membership in circle.memberships.items()
    }


def test_nothing_is_due_in_a_circle_that_is_whole() -> None:
    """Where all who are there have the key, nobody states anything."""
    circle = Circle.of("ada", "bob", "cleo")

    assert turns(circle) == {"ada": [], "bob": [], "cleo": []}


@pytest.mark.parametrize("inviter", ["ada", "bob", "cleo"])
def test_who_invited_grants_first(inviter: str) -> None:
    """Whoever has the key may grant it: the inviter at once, each other later.

    Last of all the newcomer, whom nobody helped, begins an epoch.
    """
    circle = Circle.of("ada", "bob", "cleo")
    circle.say(inviter, "invites", "dan")
    circle.hear("dan", [each.encoded for each in circle.everything()])

    found = turns(circle)

    assert found.pop(inviter) == [(GRANT, 0)]
    assert found.pop("dan") == [(ROTATE, 3)]
    first, second = found.values()
    assert {*first, *second} == {(GRANT, 1), (GRANT, 2)}
    assert circle.settle() == 1
    assert circle.opens("dan")


def test_who_was_invited_and_left_may_have_the_key() -> None:
    """That no statement grants it is no proof: the inviter may have handed it over."""
    circle = Circle.of("ada", "bob")
    circle.say("bob", "invites", "cleo")
    circle.hear("cleo", [each.encoded for each in circle.everything()])

    circle.say("cleo", "leaves")

    assert circle.roster().needs_rotation


def test_a_grant_hands_over_all_epochs() -> None:
    """Who is granted the keys reads what was sealed before they came."""
    circle = Circle.of("ada", "bob")
    for _ in range(3):
        circle.say("bob", "rotates")
    circle.say("ada", "invites", "cleo")
    circle.hear("cleo", [each.encoded for each in circle.everything()])

    (duty,) = duties(circle.membership("bob"))
    circle.memberships["bob"] = fulfilled(circle.membership("bob"), duty, bytes(32))
    circle.together()

    mine, others = (circle.membership(name).keys.epochs for name in ("cleo", "bob"))
    assert mine == others
    assert len(mine) == 4


def test_after_a_leave_all_take_turns_to_begin_an_epoch() -> None:
    """Exactly one goes first, and who left does nothing more."""
    circle = Circle.of("ada", "bob", "cleo", "dan")
    circle.say("dan", "leaves")

    found = turns(circle)

    rotating = found.pop("ada") + found.pop("bob") + found.pop("cleo")
    assert set(rotating) == {(ROTATE, 0), (ROTATE, 1), (ROTATE, 2)}
    assert found == {"dan": []}
    assert circle.settle() == 1


def test_removals_at_the_same_time_call_for_one_epoch() -> None:
    """Each was sealed the key that removes the other; so nobody may seal under it."""
    circle = Circle.of("ada", "bob", "cleo", "dan")
    circle.welcome("ada", "hal", Role.ADMIN)
    circle.is_apart = True
    circle.say("ada", "removes", "bob")
    circle.say("hal", "removes", "cleo")
    circle.together()
    assert circle.roster().needs_rotation

    assert circle.settle() == 1

    there = [
        name for name in ("ada", "bob", "cleo", "dan", "hal") if circle.opens(name)
    ]
    assert there == ["ada", "dan", "hal"]


def test_two_who_state_the_same_do_no_harm() -> None:
    """Two new epochs at once leave nothing to state, and all open the present one."""
    circle = Circle.of("ada", "bob", "cleo", "dan")
    circle.say("dan", "leaves")
    circle.is_apart = True
    circle.say("ada", "rotates")
    circle.say("bob", "rotates")

    assert circle.settle() == 0
    assert all(map(circle.opens, ("ada", "bob", "cleo")))
    assert not circle.opens("dan")


def test_who_was_sealed_rubbish_helps_itself() -> None:
    """A member who cannot open the key that it is said to have begins an epoch."""
    circle = Circle.of("ada", "bob", "cleo")
    roster = circle.membership("bob").roster
    sealed = tuple(
        (
            each,
            seal_epoch_key(
                SPACE,
                epoch_key(bytes([n]) * 32),
                roster.members[each].hpke_key,
            ),
        )
        for n, each in enumerate(sorted(roster.ranked))
    )
    rubbish = Rotate(Epoch(epoch_key(bytes([9]) * 32).id, sealed, ()))
    author = circle.who("bob").author.signing_key()
    statement = sign_statement(SPACE, author, roster.heads, rubbish)
    for name in circle.memberships:
        circle.hear(name, (statement.encoded,))
    assert circle.membership("cleo").present_epoch is None
    assert not circle.roster().ungranted

    assert circle.settle() == 1

    assert all(map(circle.opens, ("ada", "bob", "cleo")))


def test_who_was_granted_rubbish_helps_itself() -> None:
    """A grant that does not open is as good as none."""
    circle = Circle.of("ada", "bob")
    circle.say("bob", "invites", "cleo")
    roster = circle.membership("bob").roster
    sealed = seal_epoch_key(
        SPACE, epoch_key(bytes(32)), circle.who("cleo").author.hpke_key
    )
    body = Grant(circle.who("cleo").author.device, ((roster.present_epoch, sealed),))
    author = circle.who("bob").author.signing_key()
    statement = sign_statement(SPACE, author, roster.heads, body)
    circle.hear("bob", (statement.encoded,))
    circle.together()
    circle.hear("cleo", [each.encoded for each in circle.everything()])

    assert circle.settle() == 1
    assert all(map(circle.opens, ("ada", "bob", "cleo")))


def test_who_has_not_heard_all_waits() -> None:
    """While statements are missing nobody begins an epoch for those it knows."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.say("cleo", "leaves")
    everything = circle.everything()
    circle.is_apart = True
    circle.say("ada", "renames", "ada", "x")
    circle.say("ada", "renames", "ada", "y")
    later = circle.membership("ada").roster.statements[-1]

    circle.hear("bob", (later.encoded,))

    assert len(circle.membership("bob").statements) == len(everything) + 1
    assert duties(circle.membership("bob")) == ()


def test_nobody_else_states_anything() -> None:
    """Who is not in the circle, or knows nothing of it, has no duties."""
    circle = Circle.of("ada", "bob")
    circle.say("ada", "invites", "cleo")
    known = [each.encoded for each in circle.everything()]
    circle.hear("eve", known)

    assert duties(circle.membership("eve")) == ()
    assert duties(circle.membership("dan")) == ()


def test_a_founder_alone_is_done() -> None:
    """A circle of one has its key from the start."""
    _, keys = found_circle(person("ada"), SPACE, bytes(32), name="mill", preset=0)

    assert keys.present_epoch == epoch_key(bytes(32))
    assert duties(Circle().membership("ada")) == ()


def test_a_duty_that_somebody_else_did_is_not_due() -> None:
    """Whoever looks again when its turn has come finds nothing to state."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.say("cleo", "leaves")
    assert duties(circle.membership("bob"))

    circle.say("ada", "rotates")

    assert duties(circle.membership("bob")) == ()
