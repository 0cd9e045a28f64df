"""Batches of items, sealed to those who are in a circle."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt import circle_seal
from crdt.circle_keys import CircleKeys
from crdt.circle_seal import (
    MAX_SEALED_BYTES,
    OVERHEAD_BYTES,
    MissingEpochError,
    open_items,
    seal_items,
)
from crdt.errors import ConflictError, ForgedError, MalformedError, PeerError
from crdt.ids import CircleId
from crdt.space_keys import epoch_key
from tests.support.circle_people import Circle

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/protocol/circle-seal.md").read_text()
GOLDEN: dict[str, Any] = json.loads(
    (REPOSITORY / "tests/vectors/circle.json").read_text()
)
SALT = bytes(range(32))


def test_members_open_what_a_member_sealed() -> None:
    """Whoever has the key of the epoch opens a batch, and gets what was sealed."""
    circle = Circle.of("ada", "bob")
    ada, bob = (circle.membership(name).keys for name in ("ada", "bob"))

    sealed = seal_items(ada, circle.id, b"items", SALT)

    assert open_items(bob, circle.id, sealed) == b"items"
    assert b"items" not in sealed


def test_a_removed_member_does_not_open_what_is_sealed_afterwards() -> None:
    """A batch says by which key it opens; who lacks that is told so."""
    circle = Circle.of("ada", "bob")
    circle.say("ada", "removes", "bob")
    ada, bob = (circle.membership(name).keys for name in ("ada", "bob"))

    sealed = seal_items(ada, circle.id, b"items", SALT)

    with pytest.raises(MissingEpochError) as caught:
        open_items(bob, circle.id, sealed)
    assert caught.value.key_id == ada.present
    assert isinstance(caught.value, PeerError)


def test_nothing_is_sealed_under_an_earlier_key() -> None:
    """A member who lacks the present key seals nothing: who is gone could open it."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.is_apart = True
    circle.welcome("bob", "dan")
    circle.say("ada", "removes", "cleo")
    circle.hear("dan", [each.encoded for each in circle.everything()])
    keys = circle.membership("dan").keys
    assert keys.epochs

    with pytest.raises(ConflictError):
        seal_items(keys, circle.id, b"items", SALT)


def test_a_batch_is_of_one_circle() -> None:
    """The same key would not open it for another circle."""
    circle = Circle.of("ada")
    keys = circle.membership("ada").keys
    sealed = seal_items(keys, circle.id, b"items", SALT)

    with pytest.raises(ForgedError):
        open_items(keys, CircleId(bytes(32)), sealed)


def test_a_batch_has_room_for_so_much() -> None:
    """The largest is sealed and opened, one byte more is not."""
    circle = Circle.of("ada")
    keys = circle.membership("ada").keys
    largest = bytes(MAX_SEALED_BYTES - OVERHEAD_BYTES)

    sealed = seal_items(keys, circle.id, largest, SALT)
    assert len(sealed) == MAX_SEALED_BYTES
    assert open_items(keys, circle.id, sealed) == largest
    with pytest.raises(ConflictError):
        seal_items(keys, circle.id, largest + b"x", SALT)
    with pytest.raises(MalformedError):
        open_items(keys, circle.id, sealed + b"x")
    with pytest.raises(ValueError, match="random"):
        seal_items(keys, circle.id, b"", bytes(16))


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_batch_does_not_open(place: int, change: int) -> None:
    """Whichever byte is changed: it raises what an edge takes for a peer's fault."""
    circle = Circle.of("ada")
    keys = circle.membership("ada").keys
    sealed = bytearray(seal_items(keys, circle.id, bytes(100), SALT))
    sealed[place % len(sealed)] ^= change

    with pytest.raises(PeerError):
        open_items(keys, circle.id, bytes(sealed))


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(sealed: bytes) -> None:
    """Hostile bytes never raise anything but a peer's fault."""
    circle = Circle.of("ada")

    with pytest.raises(PeerError):
        open_items(circle.membership("ada").keys, circle.id, sealed)


def test_the_golden_batch() -> None:
    """It is what this program seals, byte for byte, and opens again."""
    epoch = epoch_key(bytes.fromhex(GOLDEN["epoch_secret"]))
    circle = CircleId(bytes.fromhex(GOLDEN["circle"]))
    keys = CircleKeys(1, circle, bytes.fromhex(GOLDEN["space"]), epoch.id, (epoch,))
    plain, salt, golden = (
        bytes.fromhex(GOLDEN["seal"][name]) for name in ("plain", "salt", "sealed")
    )

    assert seal_items(keys, circle, plain, salt) == golden
    assert open_items(keys, circle, golden) == plain


def test_the_page_shows_what_the_code_does() -> None:
    """docs/protocol/circle-seal.md quotes the golden batch and all limits."""
    hexadecimal = "".join(PAGE.split("## Example")[1].split("```")[1].split())
    limits = dict(re.findall(r"^\| `(\w+_BYTES)` \| ([\d,]+) ", PAGE, re.MULTILINE))

    assert hexadecimal == GOLDEN["seal"]["sealed"]
    assert limits
    for name, value in limits.items():
        assert getattr(circle_seal, name) == int(value.replace(",", ""))
