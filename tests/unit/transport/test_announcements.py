"""Announcements: what strangers on a network may make us believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from transport.addresses import Address, Reach
from transport.announcements import (
    MAX_ADDRESSES,
    MAX_NAMEPLATE,
    PairingOffer,
    Presence,
    Sighting,
    decode_announcement,
    label_of,
    pairing_properties,
    presence_properties,
)

TOKEN = bytes(range(16))
sightings = st.builds(
    Sighting,
    label=st.one_of(st.just(TOKEN.hex()), st.text(max_size=40)),
    properties=st.one_of(
        st.just(presence_properties()),
        st.dictionaries(
            st.sampled_from([b"v", b"pair", b"x"]) | st.binary(max_size=9),
            st.none() | st.sampled_from([b"1", b"7"]) | st.binary(max_size=300),
            max_size=12,
        ),
    ),
    port=st.none() | st.integers(0, 65_535),
    hosts=st.lists(st.ip_addresses().map(str) | st.text(max_size=20)).map(tuple),
)


def seen(**changes: object) -> Sighting:
    fields: dict[str, object] = {
        "label": label_of(TOKEN),
        "properties": presence_properties(),
        "port": 7411,
        "hosts": ("192.168.1.7",),
    }
    return Sighting(**{**fields, **changes})  # type: ignore[arg-type]  # by name


@given(sightings, st.booleans())
def test_any_sighting_is_believed_or_malformed(
    sighting: Sighting,
    is_alone: bool,  # noqa: FBT001  # drawn by hypothesis
) -> None:
    """Whatever arrives gives few addresses of single hosts, or one typed error."""
    try:
        announcement = decode_announcement(sighting, is_alone=is_alone)
    except MalformedError:
        return
    assert 1 <= len(announcement.addresses) <= MAX_ADDRESSES
    for address in announcement.addresses:
        assert address.ip is not None
        assert is_alone or address.reach is not Reach.MACHINE


def test_a_presence() -> None:
    """A token and addresses make a presence."""
    assert decode_announcement(seen()) == Presence(
        TOKEN, (Address("192.168.1.7", 7411),)
    )


@given(st.integers(1, MAX_NAMEPLATE))
def test_an_offer_to_pair(nameplate: int) -> None:
    """The number of a code is found again."""
    offer = decode_announcement(seen(properties=pairing_properties(nameplate)))

    assert offer == PairingOffer(nameplate, (Address("192.168.1.7", 7411),))


@pytest.mark.parametrize("nameplate", [0, -1, MAX_NAMEPLATE + 1])
def test_a_number_out_of_range_is_not_offered(nameplate: int) -> None:
    """Nobody announces what nobody would believe."""
    with pytest.raises(ValueError, match="nameplate"):
        pairing_properties(nameplate)


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "laptop-of-ada"},
        {"label": TOKEN.hex().upper()},
        {"properties": {}},
        {"properties": {b"v": b"2"}},
        {"properties": {b"v": b"1", b"pair": b"0"}},
        {"properties": {b"v": b"1", b"pair": b"007"}},
        {"properties": {b"v": b"1", b"pair": None}},
        {"properties": {b"v": b"1", b"x": bytes(300)}},
        {"properties": {b"v": b"1", **{bytes([i]): None for i in range(9)}}},
        {"port": None},
        {"port": 0},
        {"hosts": ()},
        {"hosts": ("127.0.0.1", "::1", "fe80::1", "0.0.0.0", "224.0.0.1", "x")},
    ],
)
def test_what_breaks_the_rules_is_malformed(changes: dict[str, object]) -> None:
    """Each rule of the page is kept."""
    with pytest.raises(MalformedError):
        decode_announcement(seen(**changes))


def test_loopback_is_believed_by_who_has_nothing_else() -> None:
    """On a machine without a network, loopback is where others are."""
    announcement = decode_announcement(seen(hosts=("127.0.0.1",)), is_alone=True)

    assert announcement.addresses == (Address("127.0.0.1", 7411),)
