"""Cards: which devices speak for a member of a circle."""

import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt import circle_card
from crdt.circle_card import (
    MAX_ADDRESSES,
    MAX_CARD_BYTES,
    MAX_CARD_DEVICES,
    MAX_SEQUENCE,
    Card,
    decode_card,
    make_card,
    newest,
    verify_card,
)
from crdt.circle_items import ItemKind
from crdt.circle_keys import CircleIdentity, circle_identity
from crdt.errors import ForgedError, InvalidError, MalformedError, PeerError
from crdt.keys import Domain
from tests.support.circle_people import founding, person

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/protocol/circle-card.md").read_text()
GOLDEN: dict[str, Any] = json.loads(
    (REPOSITORY / "tests/vectors/circle.json").read_text()
)["card"]


def who(name: str, device: str = "phone") -> CircleIdentity:
    return circle_identity(person(name, device), founding("ada"))


def card(
    name: str = "bob", device: str = "phone", sequence: int = 1, *addresses: str
) -> Card:
    me = who(name, device)
    return make_card(me.circle, me.author, me.device, sequence, addresses)


def resigned(made: Card, place: int, value: object) -> bytes:
    """Return a card of which author and device changed a field."""
    fields = msgspec.msgpack.decode(made.content[:-128])
    fields[place] = value
    record = msgspec.msgpack.encode(fields)
    me = who("bob")
    return (
        record
        + me.author.signing_key().sign(Domain.CIRCLE_CARD, record)
        + me.device.signing_key().sign(Domain.CIRCLE_CARD, record)
    )


def test_a_card_is_read_as_it_was_made() -> None:
    """It names circle, member, device, keys and addresses, and both signed it."""
    made = card("bob", "phone", 7, "192.0.2.1:4711", "mill.example:1")
    me = who("bob")

    read = decode_card(made.content)
    verify_card(read)

    assert read == made
    assert (read.circle, read.author) == (me.circle, me.author_key)
    assert (read.device, read.hpke_key) == (me.device.device, me.device.hpke_key)
    assert (read.sequence, read.addresses) == (7, ("192.0.2.1:4711", "mill.example:1"))
    assert read.item.kind is ItemKind.CARD
    assert (read.item.name.id, read.item.content) == (read.id, read.content)


def test_the_golden_card() -> None:
    """It decodes, its signatures fit, and it is named by the hash of its record."""
    golden = decode_card(bytes.fromhex(GOLDEN["content"]))

    verify_card(golden)
    assert golden.id.hex() == GOLDEN["id"]
    assert golden.sequence == GOLDEN["sequence"]
    assert list(golden.addresses) == GOLDEN["addresses"]


@pytest.mark.parametrize("place", [-1, -64, -65, -128])
def test_both_have_to_sign(place: int) -> None:
    """If either signature was changed, the card is forged."""
    content = bytearray(card().content)
    content[place] ^= 1

    with pytest.raises(ForgedError):
        verify_card(decode_card(bytes(content)))


def test_nobody_claims_the_device_of_another() -> None:
    """A card that the device did not sign itself is forged, and so without author."""
    bob, cleo = who("bob"), who("cleo")
    claimed = msgspec.structs.replace(cleo.device, signing_seed=bob.device.signing_seed)
    foreign = msgspec.structs.replace(cleo.author, signing_seed=bob.author.signing_seed)

    for author, device in ((bob.author, claimed), (foreign, bob.device)):
        made = make_card(bob.circle, author, device, 1, ())
        with pytest.raises(ForgedError):
            verify_card(made)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 2),
        (1, bytes(31)),
        (2, bytes(33)),
        (3, b""),
        (4, "text"),
        (5, -1),
        (5, 1.0),
        (6, ["x"] * (MAX_ADDRESSES + 1)),
        (6, [""]),
        (6, ["a\x00b"]),
        (6, ["ü" * 128]),
        (6, [b"bytes"]),
        (6, "x"),
    ],
)
def test_what_breaks_the_format_is_refused(place: int, value: object) -> None:
    """Whoever signs it: a card of another form is none."""
    with pytest.raises(MalformedError):
        decode_card(resigned(card(), place, value))


def test_a_card_has_one_encoding() -> None:
    """Another spelling of the same is refused, as are bytes too few or too many."""
    content = card("bob", "phone", 1, "x").content
    assert content[-131:-128] == b"\x91\xa1x"
    longer = content[:-131] + b"\x91\xd9\x01x" + content[-128:]

    for wrong in (longer, content + b"x", content[1:], b"", bytes(128), bytes(3000)):
        with pytest.raises(MalformedError):
            decode_card(wrong)


def test_the_largest_card_just_fits() -> None:
    """Eight addresses of 255 bytes and the last sequence make the largest."""
    largest = card("bob", "phone", MAX_SEQUENCE, *["x" * 255] * MAX_ADDRESSES)

    assert len(largest.content) == MAX_CARD_BYTES
    verify_card(decode_card(largest.content))
    for wrong in (["x" * 256], ["x"] * 9, [""], ["a\nb"]):
        with pytest.raises(InvalidError):
            card("bob", "phone", 1, *wrong)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    """Hostile bytes never raise anything but a peer's fault."""
    with pytest.raises(PeerError):
        verify_card(decode_card(content))


@given(st.integers(0, 2**16), st.integers(1, 255))
def test_a_changed_card_is_refused(place: int, change: int) -> None:
    """Whichever byte is changed, the card is malformed or forged."""
    content = bytearray(card("bob", "phone", 1, "192.0.2.1:4711").content)
    content[place % len(content)] ^= change

    with pytest.raises(PeerError):
        verify_card(decode_card(bytes(content)))


@given(st.randoms(use_true_random=False))
def test_the_newest_card_of_a_device_counts(dice: random.Random) -> None:
    """In whatever order they come: the largest sequence, then the smaller id."""
    cards = [
        card("bob", "phone", 2),
        card("bob", "phone", 3, "a"),
        card("bob", "phone", 3, "b"),
        card("bob", "desk", 1),
        card("cleo", "phone", 9),
    ]
    dice.shuffle(cards)
    first = min(
        (each for each in cards if each.sequence == 3), key=lambda each: each.id
    )

    assert set(newest(cards)) == {first, *(c for c in cards if c.sequence in {1, 9})}
    assert newest(newest(cards)) == newest(cards)


def test_so_many_devices_of_a_member_count() -> None:
    """Beyond sixteen devices of one member those with the oldest cards do not."""
    many = [card("bob", f"device {n}", 100 - n) for n in range(MAX_CARD_DEVICES + 4)]
    other = card("cleo", "phone", 1)

    kept = newest([*reversed(many), other])

    assert set(kept) == {*many[:MAX_CARD_DEVICES], other}


def test_the_page_shows_what_the_code_does() -> None:
    """docs/protocol/circle-card.md quotes the golden card and all limits."""
    hexadecimal = "".join(PAGE.split("## Example")[1].split("```")[1].split())
    limits = dict(re.findall(r"^\| `(MAX_\w+)` \| ([\d,]+) ", PAGE, re.MULTILINE))

    assert hexadecimal == GOLDEN["content"]
    assert f"{len(GOLDEN['content']) // 2} bytes" in PAGE
    assert Domain.CIRCLE_CARD.value[:-1].decode() in PAGE
    assert set(limits) == {
        name
        for name in vars(circle_card)
        if name.startswith("MAX_") and name != "MAX_SEQUENCE"
    }
    for name, value in limits.items():
        assert getattr(circle_card, name) == int(value.replace(",", ""))
