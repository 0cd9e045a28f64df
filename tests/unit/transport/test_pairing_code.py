"""A code is short, is read in whichever way it is typed, and is nobody's guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from crdt.phrase import word_list
from transport.pairing_code import (
    CODE_RANDOMNESS_BYTES,
    PairingLink,
    format_link,
    new_code,
    parse_code,
    parse_link,
)

RANDOMNESS = st.binary(min_size=CODE_RANDOMNESS_BYTES, max_size=CODE_RANDOMNESS_BYTES)


@given(RANDOMNESS)
def test_a_code_reads_back(randomness: bytes) -> None:
    """What is shown is what is meant."""
    code = new_code(randomness)

    assert parse_code(str(code)) == code
    assert 1 <= code.nameplate <= 99


@given(RANDOMNESS)
def test_the_password_is_never_shown_by_accident(randomness: bytes) -> None:
    """What a debugger or a log would print of a code holds no word of it."""
    code = new_code(randomness)

    assert not any(word in repr(code).split("'") for word in code.words)
    assert str(code).encode() in code.password


def test_every_word_can_come_up() -> None:
    """The words are drawn from all 2048, each by eleven bits of its own."""
    codes = [
        new_code(bytes(3) + (number | number << 11).to_bytes(3))
        for number in range(2048)
    ]

    assert [code.words for code in codes] == [(each, each) for each in word_list()]


@pytest.mark.parametrize(
    "typed",
    [
        "7-orbit-ladder",
        "7-Orbit-LADDER",
        "7 orbit ladder",
        "  7  orbit\tladder\n",
        "7orbit ladder",
        "7orbitladder",
        "07-orbit-ladder",
        "7-orbi-ladd",
        "7\u2013orbit\u2013ladder",
        "\uff17-orbit-ladder",
    ],
)
def test_a_code_is_understood_as_people_type_it(typed: str) -> None:
    """Case, blanks, dashes of any kind and the ends of words do not matter."""
    assert str(parse_code(typed)) == "7-orbit-ladder"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "7",
        "orbit-ladder",
        "0-orbit-ladder",
        "100-orbit-ladder",
        "7-orbit",
        "7-orb-ladder",
        "7-orbit-ladder-mill",
        "7-orbit-lantern",
        "7-orbit-7",
        "7" * 5000,
        "\u0667-orbit-ladder",
    ],
)
def test_a_slip_of_the_pen_is_told(typed: str) -> None:
    """The error names the field, and repeats nothing of what was typed."""
    with pytest.raises(InvalidError) as raised:
        parse_code(typed)

    assert raised.value.field == "code"
    assert "lantern" not in str(raised.value)


@given(st.text(max_size=80))
def test_no_text_does_harm(text: str) -> None:
    """Whatever is typed or pasted is a code or an error that says what one is."""
    try:
        link = parse_link(text)
    except InvalidError:
        return
    assert parse_link(format_link(link)) == link


@given(
    RANDOMNESS,
    st.lists(st.sampled_from(["192.0.2.7:7374", "[2001:db8::1]:7374", "mill.local:1"])),
)
def test_a_link_carries_the_code_and_the_addresses(
    randomness: bytes, addresses: list[str]
) -> None:
    """What a QR code holds is read as it was written."""
    link = PairingLink(new_code(randomness), tuple(addresses))

    assert parse_link(format_link(link)) == link


@pytest.mark.parametrize(
    "text",
    [
        "fractality:pair",
        "fractality:pair?code=7-orbit",
        "fractality:pair?code=7-orbit-ladder&code=8-orbit-ladder",
        "fractality:other?code=7-orbit-ladder",
        "fractality://[",
        "fractality:pair?" + "at=1&" * 100,
    ],
)
def test_another_link_is_refused(text: str) -> None:
    """A link that does not pair is told from one that does."""
    with pytest.raises(InvalidError):
        parse_link(text)
