"""Addresses: one text form, one value, one order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from transport.addresses import MAX_PORT, Address, Reach, dialling_order, parse_address

hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9]{0,10}){0,3}", fullmatch=True),
)
ports = st.integers(1, MAX_PORT)


def valid(host: str, port: int) -> Address | None:
    try:
        return Address.checked(host, port)
    except InvalidError:
        return None


addresses = st.builds(valid, hosts, ports).filter(bool)


@given(addresses)
def test_text_and_value_are_one(address: Address) -> None:
    """What an address is printed as is read as that address."""
    assert parse_address(str(address)) == address


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Foreign text gives a canonical address or one typed error."""
    try:
        address = parse_address(text)
    except InvalidError:
        return
    assert parse_address(str(address)) == address
    assert str(address).isprintable()
    assert str(address).isascii()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.168.1.7:7411", "192.168.1.7:7411"),
        ("[2001:DB8::0:1]:7411", "[2001:db8::1]:7411"),
        ("[::ffff:192.168.1.7]:1", "192.168.1.7:1"),
        ("Laptop.Example.:65535", "laptop.example:65535"),
        ("my-nas_2:80", "my-nas_2:80"),
    ],
)
def test_one_place_has_one_form(text: str, canonical: str) -> None:
    """Spellings of one place become one text."""
    assert str(parse_address(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7411",
        "192.168.1.7",
        "192.168.1.7:",
        "192.168.1.7:0",
        "192.168.1.7:65536",
        "192.168.1.7:+1",
        "192.168.1.7:٣",
        "192.168.1:7411",
        "127.1:7411",
        "0x7f000001:7411",
        "2130706433:7411",
        "0.0.0.0:7411",
        "255.255.255.255:7411",
        "224.0.0.251:7411",
        "[ff02::fb]:7411",
        "[fe80::1%eth0]:7411",
        "[::]:7411",
        "[name]:7411",
        "::1:7411",
        "a\nb:7411",
        "a/b:7411",
        "user@host:7411",
        "-a:7411",
        "a..b:7411",
        f"{'a' * 64}:7411",
        f"{'a.' * 130}a:7411",
    ],
)
def test_what_names_no_host_is_refused(text: str) -> None:
    """Neither half an address, nor many hosts, nor tricks with numbers."""
    with pytest.raises(InvalidError):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("127.0.0.1:1", Reach.MACHINE),
        ("[::1]:1", Reach.MACHINE),
        ("localhost:1", Reach.MACHINE),
        ("10.0.0.1:1", Reach.NEARBY),
        ("100.64.3.4:1", Reach.NEARBY),
        ("[fd00::2]:1", Reach.NEARBY),
        ("8.8.8.8:1", Reach.INTERNET),
        ("[2606:4700::1111]:1", Reach.INTERNET),
        ("laptop.example:1", Reach.NAME),
    ],
)
def test_reach(text: str, reach: Reach) -> None:
    """Private networks are nearer than the internet, the machine itself nearest."""
    assert parse_address(text).reach is reach


@given(st.lists(addresses), st.data())
def test_the_order_of_dialling(known: list[Address], data: st.DataObject) -> None:
    """Each is tried once: what worked last first, then by reach."""
    worked = data.draw(
        st.lists(st.sampled_from(known), unique=True) if known else st.just([])
    )

    order = dialling_order(known, worked)

    assert sorted(order) == sorted(set(known))
    assert list(order[: len(worked)]) == worked
    reaches = [each.reach for each in order[len(worked) :]]
    assert reaches == sorted(reaches)
