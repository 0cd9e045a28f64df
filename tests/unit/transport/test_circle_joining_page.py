"""docs/protocol/circle-joining.md and its golden bytes say what the code does."""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.support.circle_joins import APPLICANT, TICKET
from transport import circle_joining, circle_messages, circle_ticket
from transport.circle_messages import (
    Cause,
    Gift,
    Piece,
    Question,
    Told,
    encode_gift,
    gift_hash,
)
from transport.circle_ticket import Ticket, format_ticket, parse_ticket, secret_hash

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "circle-joining.md").read_text()
VECTOR: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/circle_joining.json").read_text()
)


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def following() -> Question:
    """Return the question for the second piece of the vector's gift."""
    return msgspec.structs.replace(
        APPLICANT,
        nonce=bytes.fromhex(VECTOR["nonce"]),
        gift=bytes.fromhex(VECTOR["gift_hash"]),
        number=1,
    )


def test_a_ticket_has_these_bytes() -> None:
    """Its text, its circle, and what the inviter remembers."""
    assert format_ticket(TICKET) == VECTOR["ticket"]
    assert parse_ticket(VECTOR["ticket"]) == TICKET
    assert TICKET.circle.hex() == VECTOR["circle"]
    assert secret_hash(TICKET.secret).hex() == VECTOR["secret_hash"]


def test_messages_have_these_bytes() -> None:
    """Before they are sealed: HPKE draws its own key for each sealing."""
    gift = Gift((b"one", b"two"), (b"card",))
    piece = Piece(gift_hash(encode_gift(gift)), 1, 0, encode_gift(gift))
    version = bytes([circle_messages.VERSION])

    assert (version + msgspec.msgpack.encode(following())).hex() == VECTOR["question"]
    assert encode_gift(gift).hex() == VECTOR["gift"]
    assert gift_hash(encode_gift(gift)).hex() == VECTOR["gift_hash"]
    assert (version + msgspec.msgpack.encode(piece)).hex() == VECTOR["piece"]
    told = Told(Cause.EXPIRED)
    assert (version + msgspec.msgpack.encode(told)).hex() == VECTOR["told"]


def test_the_example_is_that_of_the_vector() -> None:
    """The question stands at the end of the page."""
    shown = re.sub(r"\s", "", section("Example").split("```")[1])

    assert shown == VECTOR["question"]


def test_the_page_lists_the_fields() -> None:
    """What is said has the fields of the page, in their order."""
    grammar = section("The ticket") + section("Course")
    for kind in (Ticket, Question, Piece, Gift, Told):
        row = rf"^{kind.__name__} +:= \[(.+)\]$"
        (fields,) = re.findall(row, grammar, re.MULTILINE)
        named = [each.strip() for each in fields.split(",")]
        if kind in (Piece, Told):
            tag = msgspec.inspect.type_info(kind).tag  # type: ignore[attr-defined]  # of structs
            assert named.pop(0) == str(tag)
        assert tuple(named) == kind.__struct_fields__


def test_the_page_lists_the_causes() -> None:
    """Every cause that may be told, and a sentence for each."""
    rows = re.findall(r"^\| `([\w-]+)` \|", section("Causes"), re.MULTILINE)

    assert rows == [cause.value for cause in Cause]
    assert set(circle_joining.TOLD) == set(Cause)


def test_the_limits_are_those_of_the_code() -> None:
    """The table lists each limit of these modules with its value."""
    limits = {
        name: value
        for module in (circle_ticket, circle_messages, circle_joining)
        for name, value in vars(module).items()
        if name.startswith("MAX_")
        and name not in ("MAX_NAME_BYTES", "MAX_STATEMENT_BYTES")
    }

    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value.replace(",", "")) for name, value in rows} == limits
