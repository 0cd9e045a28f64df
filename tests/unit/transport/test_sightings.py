"""What was seen on the network, and whom it means."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from crdt.space_keys import new_space_keys
from transport.addresses import Address
from transport.announcements import (
    Sighting,
    label_of,
    pairing_properties,
    presence_properties,
)
from transport.discovery import (
    MAX_INSTANCES,
    MAX_STRANGERS,
    Found,
    Lost,
    Sightings,
)
from transport.tokens import expected_tokens, own_token, ring

KEYS = new_space_keys(bytes(32))
ME, ADA, BEN = (DeviceId(bytes([number]) * 16) for number in (1, 2, 3))
SLOT = 489_000
EXPECTED = expected_tokens(ring(ME, (ME, ADA, BEN), KEYS), SLOT)


def shown_by(device: DeviceId, slot: int = SLOT) -> str:
    """Return the label under which a device announces itself."""
    return label_of(own_token(ring(device, (ME, ADA, BEN), KEYS), slot))


def at(label: str, *hosts: str, port: int = 7411) -> Sighting:
    return Sighting(label, presence_properties(), port, hosts)


def seeing(*sightings: Sighting) -> Sightings:
    """Return what a device knows after it saw all this."""
    known = Sightings()
    known.expect(EXPECTED)
    for each in sightings:
        known.note(each.label, each, is_alone=False)
    return known


def address(number: int) -> Address:
    return Address(f"10.0.0.{number}", 7411)


def test_members_are_found_once() -> None:
    """A member is told once, and again only at other addresses."""
    known = seeing(at(shown_by(ADA), "10.0.0.2"))
    assert known.take_events() == [Found(ADA, (address(2),))]

    known.note(shown_by(ADA), at(shown_by(ADA), "10.0.0.2"), is_alone=False)
    assert known.take_events() == []

    known.note(shown_by(ADA), at(shown_by(ADA), "10.0.0.9"), is_alone=False)
    assert known.take_events() == [Found(ADA, (address(9),))]


def test_a_new_hour_loses_nobody() -> None:
    """A device that changes its token is neither lost nor found anew."""
    known = seeing(at(shown_by(ADA), "10.0.0.2"))
    known.take_events()
    later = shown_by(ADA, SLOT + 1)

    known.note(later, at(later, "10.0.0.2"), is_alone=False)
    known.note(shown_by(ADA), None, is_alone=False)

    assert known.take_events() == []
    known.note(later, None, is_alone=False)
    assert known.take_events() == [Lost(ADA)]


def test_a_stranger_may_become_a_member() -> None:
    """What was seen before the roster told of a device counts afterwards."""
    known = Sightings()
    known.note(shown_by(ADA), at(shown_by(ADA), "10.0.0.2"), is_alone=False)
    assert known.take_events() == []

    known.expect(EXPECTED)

    assert known.take_events() == [Found(ADA, (address(2),))]


def test_who_is_removed_is_lost() -> None:
    """A device that is no longer expected is not near, whatever it announces."""
    known = seeing(at(shown_by(ADA), "10.0.0.2"), at(shown_by(BEN), "10.0.0.3"))
    known.take_events()

    known.expect(expected_tokens(ring(ME, (ME, BEN), KEYS), SLOT))

    assert known.take_events() == [Lost(ADA)]


def test_nobody_finds_itself() -> None:
    """What this device announces, or somebody repeats, means nobody."""
    assert seeing(at(shown_by(ME), "10.0.0.1")).take_events() == []


def test_offers_to_pair_are_no_members() -> None:
    """An offer under a member's token makes nobody found."""
    offer = Sighting(shown_by(ADA), pairing_properties(7), 7411, ("10.0.0.2",))

    assert seeing(offer).take_events() == []


def test_a_flood_hides_nobody() -> None:
    """Strangers without number cost bounded memory, and members are still found."""
    flood = [at(f"{number:032x}", "10.0.0.66") for number in range(MAX_STRANGERS * 3)]

    known = seeing(*flood, at(shown_by(ADA), "10.0.0.2"))

    assert known.take_events() == [Found(ADA, (address(2),))]
    assert len(known) == MAX_STRANGERS + 1


@given(st.permutations(range(-1, 2)))
def test_one_member_has_few_announcements(slots: list[int]) -> None:
    """All tokens of a member that may be current lead to one device."""
    sightings = [at(shown_by(ADA, SLOT + each), f"10.0.0.{5 + each}") for each in slots]
    assert len(sightings) <= MAX_INSTANCES

    (found,) = seeing(*sightings).take_events()

    assert found == Found(ADA, (address(4), address(5), address(6)))
