"""Tickets are texts that survive being copied, and say so when they did not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from tests.support.circle_joins import FOUNDING, TICKET
from transport.circle_ticket import (
    MAX_TICKET_ADDRESSES,
    MAX_TICKET_CHARACTERS,
    PREFIX,
    Ticket,
    format_ticket,
    parse_ticket,
    reachable,
    secret_hash,
)

TEXT = format_ticket(TICKET)


def test_a_ticket_reads_as_it_was_written() -> None:
    """Also in capitals, broken into lines, with blanks around."""
    mailed = "\n".join(TEXT[at : at + 60].upper() for at in range(0, len(TEXT), 60))

    assert parse_ticket(TEXT) == TICKET
    assert parse_ticket(f"  {mailed}\r\n") == TICKET


@given(place=st.integers(len(PREFIX), len(TEXT) - 1), digit=st.sampled_from("abc7"))
def test_a_changed_digit_is_noticed(place: int, digit: str) -> None:
    """Whichever it is."""
    changed = TEXT[:place] + digit + TEXT[place + 1 :]

    if changed != TEXT:
        with pytest.raises(InvalidError, match="ticket"):
            parse_ticket(changed)


@given(end=st.integers(0, len(TEXT) - 1))
def test_a_ticket_that_was_cut_is_noticed(end: int) -> None:
    """Wherever it ends."""
    with pytest.raises(InvalidError):
        parse_ticket(TEXT[:end])


@given(text=st.text(max_size=100))
def test_other_text_is_refused(text: str) -> None:
    """By an error that names the field, whatever was pasted."""
    for pasted in (text, PREFIX + text):
        with pytest.raises(InvalidError, match="ticket"):
            parse_ticket(pasted)


def test_text_without_end_is_not_looked_at() -> None:
    """The size comes first."""
    with pytest.raises(InvalidError):
        parse_ticket(TEXT + " " * MAX_TICKET_CHARACTERS)


def test_a_later_version_is_named() -> None:
    """Whoever gets a ticket of a newer program is told to update."""

    class Later(msgspec.Struct, array_like=True):
        version: int

    text = format_ticket(Later(2))  # type: ignore[arg-type]  # another program's

    with pytest.raises(InvalidError, match="update"):
        parse_ticket(text)


def test_two_secrets_have_two_hashes() -> None:
    """The inviter knows tickets apart without their secrets."""
    assert secret_hash(b"a" * 16) != secret_hash(b"b" * 16)
    assert b"a" * 16 not in secret_hash(b"a" * 16)


def test_what_does_not_fit_is_left_out() -> None:
    """Of many addresses the first ones count."""
    many = [f"192.0.2.{number}:7374" for number in range(20)]

    assert reachable(["", "x" * 300, *many]) == tuple(many[:MAX_TICKET_ADDRESSES])


def test_the_circle_is_named_by_what_founded_it() -> None:
    """Another founding statement is another circle."""
    other: Ticket = msgspec.structs.replace(TICKET, founding=FOUNDING + b"!")

    assert other.circle != TICKET.circle
    assert other.inviter == TICKET.inviter
