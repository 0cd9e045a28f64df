"""docs/protocol/pairing.md and tests/vectors/pairing.json say what the code does."""

import hmac
import json
import re
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from crdt.keys import derive
from tests.support.pairings import Wire
from transport import invitation, pairing_code, pairing_messages
from transport.conversation import Conversation
from transport.invitation import Invitation
from transport.joining import Joined, Joining
from transport.pairing_code import new_code
from transport.pairing_messages import (
    AnyMessage,
    Cause,
    Gift,
    Newcomer,
    Proposal,
    encode_content,
)
from transport.password_agreement import PasswordAgreement

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "pairing.md").read_text()
VECTOR: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/pairing.json").read_text()
)


def given(name: str) -> bytes:
    """Return bytes of the vector."""
    return bytes.fromhex(VECTOR[name])


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_code_is_that_of_the_vector() -> None:
    """Six bytes stand for a code, and the code for a password."""
    code = new_code(given("code_randomness"))

    assert str(code) == VECTOR["code"]
    assert code.password == given("password")


def test_both_sides_say_what_the_vector_says() -> None:
    """With its dice, every message has exactly these bytes."""
    code = new_code(given("code_randomness"))
    proposal = msgspec.msgpack.decode(given("proposal"), type=Proposal)
    wire = Wire(
        Invitation(code, proposal, lambda _: given("inviter_randomness"), 0),
        gift=msgspec.msgpack.decode(given("gift"), type=Gift),
        newcomer=msgspec.msgpack.decode(given("newcomer"), type=Newcomer),
    )
    joiner = Joining(code, given("attempt"), lambda _: given("joiner_randomness"))

    assert wire.run(joiner) == Joined()

    assert [each.hex() for each in wire.said] == VECTOR["messages"]
    assert encode_content(wire.gift) == given("gift")


def test_the_keys_are_derived_as_the_page_says() -> None:
    """From the password to the first two proofs, step by step."""
    joiner = PasswordAgreement(
        "joiner", given("password"), lambda _: given("joiner_randomness")
    )
    hello, welcome = (bytes.fromhex(each) for each in VECTOR["messages"][:2])
    inviters_half = welcome[-(33 + 2 + 32) : -(2 + 32)]
    key = joiner.finish(inviters_half)
    conversation = Conversation()
    conversation.agree(key)
    conversation.add(hello)
    conversation.add(inviters_half)

    assert key == given("agreed_key")
    assert conversation.confirmation("inviter") == welcome[-32:]
    label = "pairing confirmation of the inviter"
    proof = hmac.digest(derive(key, label), given("first_transcript"), "sha256")
    assert proof == welcome[-32:]
    assert label.replace("inviter", "SIDE") in section("Keys")


def test_the_example_is_that_of_the_vector() -> None:
    """The first two messages stand at the end of the page."""
    shown = re.sub(r"\s", "", section("Example").split("```")[1])

    assert shown == "".join(VECTOR["messages"][:2])


def test_the_page_lists_the_messages() -> None:
    """Every message of the code stands in the grammar with its tag, and no other."""
    kinds = get_args(AnyMessage)
    tags = {
        kind.__name__: msgspec.inspect.type_info(kind).tag  # type: ignore[attr-defined]  # of structs
        for kind in kinds
    }

    rows = re.findall(r"^(\w+) +:= \[(\d+),", section("Grammar"), re.MULTILINE)

    assert {name: int(tag) for name, tag in rows} == tags


def test_the_page_lists_the_fields() -> None:
    """What is sealed has the fields of the page, in their order."""
    for kind in (Proposal, Newcomer, Gift, pairing_messages.Receipt):
        pattern = rf"^{kind.__name__} +:= \[(.+)\]$"
        (fields,) = re.findall(pattern, section("Grammar"), re.MULTILINE)
        named = [each.strip() for each in fields.split(",")]
        assert tuple(named) == kind.__struct_fields__


def test_the_page_lists_the_causes() -> None:
    """Every cause that may be told in the clear."""
    rows = re.findall(r"^\| `([\w-]+)` \|", section("Causes"), re.MULTILINE)

    assert rows == [cause.value for cause in Cause]


def test_the_limits_are_those_of_the_code() -> None:
    """The table lists each limit of these modules with its value, no more, no fewer."""
    limits = {
        name: value
        for module in (pairing_messages, invitation, pairing_code)
        for name, value in vars(module).items()
        if re.match(r"(MAX_|PIECE_BYTES|LIFETIME_MS|FINISH_MS)", name)
        and name != "MAX_NAME_BYTES"
    }

    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value.replace(",", "")) for name, value in rows} == limits
