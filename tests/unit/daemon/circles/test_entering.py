"""What a newcomer is given is looked through before anything is kept."""

import pytest

from crdt.circle_membership import CircleMembership
from crdt.errors import PeerError
from daemon.circles.entering import UnwholeCircleError, examine
from tests.support.circle_people import Circle
from transport.circle_messages import Gift


def given(circle: Circle, *left_out: int) -> Gift:
    """Return all statements of a circle but some, counted from the first."""
    statements = circle.roster().statements
    kept = [each for at, each in enumerate(statements) if at not in left_out]
    return Gift(tuple(each.encoded for each in kept), ())


def examined(circle: Circle, name: str, gift: Gift) -> CircleMembership:
    """Return what a gift makes of a person."""
    return examine(gift, circle.who(name), circle.founding)


def test_a_whole_gift_makes_a_member() -> None:
    """Who is told of, with the key of the present epoch."""
    circle = Circle.of("ada", "ben")

    membership = examined(circle, "ben", given(circle))

    assert membership.present_epoch is not None
    assert len(membership.roster.ranked) == 2


@pytest.mark.parametrize(
    ("left_out", "fault"),
    [
        ((0,), "missing"),
        ((1,), "missing"),
        ((2,), "key"),
        ((1, 2), "not among"),
        ((0, 1, 2), "missing"),
    ],
)
def test_a_gift_that_lacks_something_makes_none(
    left_out: tuple[int, ...], fault: str
) -> None:
    """The founding statement, the addition, or the key."""
    circle = Circle.of("ada", "ben")

    with pytest.raises(UnwholeCircleError, match=fault):
        examined(circle, "ben", given(circle, *left_out))


def test_the_gift_of_somebody_else_makes_none() -> None:
    """Who is not in the roster is no member."""
    circle = Circle.of("ada", "ben")

    with pytest.raises(UnwholeCircleError, match="not among"):
        examined(circle, "cleo", given(circle))


def test_who_was_removed_meanwhile_is_none() -> None:
    """Whatever else the gift holds."""
    circle = Circle.of("ada", "ben")
    circle.say("ada", "removes", "ben")
    circle.together()

    with pytest.raises(UnwholeCircleError):
        examined(circle, "ben", given(circle))


def test_a_gift_of_another_circle_makes_none() -> None:
    """The ticket says which one it is."""
    circle, other = Circle.of("ada", "ben"), Circle.of("ben", "ada")

    with pytest.raises(PeerError):
        examine(given(other), circle.who("ben"), circle.founding)
