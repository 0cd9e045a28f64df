"""A circle as bytes: the golden statements, who is in them, and the page."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crdt import circle_membership, circle_roster, circle_rules
from crdt.circle_keys import CircleIdentity, circle_identity, no_circle_keys
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import (
    circle_name,
    circle_preset,
    decode_founding,
    invitations,
    present_members,
)
from crdt.errors import ForgedError, MalformedError
from crdt.identity import Identity, new_identity
from crdt.ids import AuthorKey, CircleId, NodeKey, SpaceId
from crdt.keys import SEALED_KEY_BYTES
from crdt.statement import Statement, decode_statement, sign_statement
from crdt.statement_kinds import Body, Epoch, Found, Leave, Vouch

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/protocol/circle-roster.md").read_text()
GOLDEN: dict[str, Any] = json.loads(
    (REPOSITORY / "tests/vectors/circle.json").read_text()
)
ENCODED = [bytes.fromhex(each["encoded"]) for each in GOLDEN["statements"]]
FOUNDING = decode_founding(ENCODED[0])
SPACE = SpaceId(bytes.fromhex(GOLDEN["space"]))
NAMES = tuple(GOLDEN["persons"])


@cache
def device(name: str) -> Identity:
    golden = GOLDEN["persons"][name]
    return new_identity(
        bytes.fromhex(golden["entropy"]),
        bytes.fromhex(golden["device_randomness"]),
        name,
        "desk",
    )


def who(name: str) -> CircleIdentity:
    return circle_identity(device(name), FOUNDING, GOLDEN["persons"][name]["alias"])


def membership(name: str) -> CircleMembership:
    me = who(name)
    nothing = CircleMembership.of(me.author, no_circle_keys(me.circle, SPACE), ())
    after, refused = nothing.with_received(ENCODED)
    assert not refused
    return after


def signed(body: Body, *parents: bytes) -> Statement:
    return sign_statement(SPACE, who("ada").author.signing_key(), parents, body)


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_persons(name: str) -> None:
    """Pseudonyms, keys and references follow from the secrets as they did."""
    golden, me = GOLDEN["persons"][name], who(name)

    found = {
        "author": me.author_key,
        "hpke_key": me.author.hpke_key,
        "device_key": me.device.public_key,
        "device_hpke_key": me.device.hpke_key,
        "reference": me.reference(NodeKey(GOLDEN["node_key"])),
    }
    assert {key: value.hex() for key, value in found.items()} == {
        key: golden[key] for key in found
    }


def test_the_golden_statements() -> None:
    """They decode, sign to the same bytes again, and are named by their hashes."""
    authors = {who(name).author_key: who(name).author for name in NAMES}
    for golden, encoded in zip(GOLDEN["statements"], ENCODED, strict=True):
        decoded = decode_statement(encoded)
        key = authors[AuthorKey(decoded.author_key)].signing_key()

        assert decoded.hash.hex() == golden["hash"]
        assert type(decoded.body).__name__.lower() == golden["kind"]
        assert sign_statement(SPACE, key, decoded.parents, decoded.body) == decoded


def test_the_golden_roster() -> None:
    """The statements make the circle that they made."""
    golden = GOLDEN["roster"]
    roster = membership("ada").roster

    assert FOUNDING.hash.hex() == GOLDEN["circle"]
    assert (circle_name(roster), circle_preset(roster)) == (
        golden["name"],
        golden["preset"],
    )
    assert [each.hex() for each in present_members(roster)] == golden["present"]
    assert {
        author.hex(): [each.inviter and each.inviter.hex(), each.is_vouched]
        for author, each in invitations(roster).items()
    } == golden["invitations"]
    assert roster.fingerprint.hex() == golden["fingerprint"]
    assert roster.present_epoch.hex() == golden["present_epoch"]


def test_the_golden_keys_open_to_those_who_are_there() -> None:
    """Ada opens the last epoch; bob, removed, and cleo, who left before, do not."""
    opened = {name: membership(name).present_epoch is not None for name in NAMES}

    assert opened == {"ada": True, "bob": False, "cleo": False}
    assert len(membership("ada").keys.epochs) == 3
    assert len(membership("bob").keys.epochs) == 2
    assert len(membership("cleo").keys.epochs) == 1


def test_a_founding_has_no_parents_and_nothing_else_has_none() -> None:
    """A statement that contradicts itself about being the first is no statement."""
    epoch = Epoch(bytes(16), (), ())
    body = Found("mill", 0, "Ada", bytes(32), epoch)

    assert signed(body).parents == ()
    with pytest.raises(MalformedError):
        signed(body, FOUNDING.hash)
    for later in (Vouch(bytes(16)), Leave()):
        assert signed(later, FOUNDING.hash)
        with pytest.raises(MalformedError):
            signed(later)


@pytest.mark.parametrize(
    "body",
    [
        Found("", 0, "Ada", bytes(32), Epoch(bytes(16), (), ())),
        Found("mill", 0, "\n", bytes(32), Epoch(bytes(16), (), ())),
        Found("mill", 2, "Ada", bytes(32), Epoch(bytes(16), (), ())),
        Found("mill", 0, "Ada", bytes(31), Epoch(bytes(16), (), ())),
        Found("mill", 0, "Ada", bytes(32), Epoch(bytes(15), (), ())),
        Found(
            "mill",
            0,
            "Ada",
            bytes(32),
            Epoch(bytes(16), ((bytes(16), bytes(SEALED_KEY_BYTES)),) * 2, ()),
        ),
    ],
)
def test_a_founding_that_breaks_the_format_is_refused(body: Found) -> None:
    """Names, preset, keys and the order of recipients are as the page says."""
    with pytest.raises(MalformedError):
        signed(body)


def test_a_vouch_is_for_one_member() -> None:
    """It names one, by 16 bytes."""
    with pytest.raises(MalformedError):
        signed(Vouch(bytes(15)), FOUNDING.hash)


def test_the_page_shows_what_the_code_does() -> None:
    """docs/protocol/circle-roster.md quotes the founding statement and all limits."""
    hexadecimal = "".join(PAGE.split("## Example")[1].split("```")[1].split())
    limits = dict(re.findall(r"^\| `(MAX_\w+)` \| ([\d,]+) ", PAGE, re.MULTILINE))

    assert hexadecimal == ENCODED[0].hex()
    assert f"{len(ENCODED[0])} bytes" in PAGE
    assert GOLDEN["circle"][:32] in PAGE
    assert {name: int(value.replace(",", "")) for name, value in limits.items()} == {
        "MAX_PERSONS": circle_rules.MAX_PERSONS,
        "MAX_BYTES_OF_STATEMENTS": circle_membership.MAX_BYTES_OF_STATEMENTS,
    }
    assert (circle_roster.STRICT, circle_roster.BROAD) == (0, 1)
    assert "preset := 0 strict | 1 broad" in PAGE


def test_another_circle_is_told_by_its_id() -> None:
    """Whoever has the golden id takes no other founding for it."""
    other = signed(Found("mill", 0, "Ada", bytes(32), Epoch(bytes(16), (), ())))

    with pytest.raises(ForgedError):
        decode_founding(other.encoded, CircleId(FOUNDING.hash))
