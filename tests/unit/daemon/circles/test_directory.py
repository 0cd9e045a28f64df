"""Whom a device may link with follows from cards and members alone."""

from crdt.circle_card import Card, make_card
from crdt.circle_keys import circle_identity
from daemon.circles.directory import directory, with_leaving
from tests.support.circle_people import Circle, person


def card(circle: Circle, name: str, device: str = "phone", sequence: int = 1) -> Card:
    """Return a card of a device of a person."""
    who = circle_identity(person(name, device), circle.founding)
    return make_card(who.circle, who.author, who.device, sequence, (f"h{sequence}:1",))


def test_only_members_have_devices() -> None:
    """Somebody else's card is looked past."""
    circle = Circle.of("ada", "ben")
    cards = [card(circle, name) for name in ("ada", "ben", "cleo")]
    present = {circle.key("ada"), circle.key("ben")}

    known = directory(cards, present, circle.key("ada"))

    assert {each.author for each in known.values()} == present


def test_own_devices_count_before_the_roster_is_known() -> None:
    """Or they could never get it."""
    circle = Circle.of("ada", "ben")

    known = directory([card(circle, "ben", "tablet")], (), circle.key("ben"))

    assert len(known) == 1


def test_of_a_device_the_newest_card_counts() -> None:
    """In whatever order they came."""
    circle = Circle.of("ada", "ben")
    cards = [card(circle, "ben", sequence=number) for number in (1, 3, 2)]

    (known,) = directory(cards, {circle.key("ben")}, circle.key("ada")).values()

    assert known.addresses == ("h3:1",)


def test_who_goes_stands_as_removed_for_a_while() -> None:
    """Unless it came back, or was never known."""
    circle = Circle.of("ada", "ben")
    present, me = {circle.key("ben")}, circle.key("ada")
    former = directory([card(circle, "ben")], present, me)
    (device,) = former

    assert with_leaving({}, former, [device])[device].is_removed
    assert not with_leaving(former, former, [device])[device].is_removed
    assert with_leaving({}, {}, [device]) == {}
