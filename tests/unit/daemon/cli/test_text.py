"""Words and numbers for a person, and foreign text made safe."""

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.cli.output import to_json
from daemon.cli.text import (
    ago,
    cut,
    duration,
    many,
    number,
    safe_block,
    safe_line,
    size,
    width,
)
from daemon.new_keys import key_stem

ANY_TEXT = st.text(st.characters())
REORDERING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unsafe(text: str) -> set[str]:
    """Return the characters that a terminal might obey instead of showing."""
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in kinds} | REORDERING & set(
        text
    )


@given(ANY_TEXT)
@example("\x1b]0;title\x07\x9b31m\u202edrow\ud800\r\x7f\u2028")
def test_a_safe_line_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    """Whatever the text, no control, separator, reordering or surrogate is left."""
    assert unsafe(safe_line(text)) == set()
    safe_line(text).encode()


@given(ANY_TEXT)
@example("a\r\nb\tc\rd\x85e")
def test_a_safe_block_keeps_lines_and_tabs_only(text: str) -> None:
    """Whatever the text, line feeds and tabs are the only controls that are left."""
    assert unsafe(safe_block(text)) <= {"\n", "\t"}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    """Text without anything unsafe is printed exactly."""
    assert safe_line(text) == text
    assert safe_block(text) == text


def test_an_escape_sequence_is_shown_not_obeyed() -> None:
    """Escapes become visible, so that the person sees what a label holds."""
    assert safe_line("red \x1b[31m") == r"red \x1b[31m"
    assert safe_line("two\nlines") == "two lines"
    assert safe_block("one\r\ntwo\rthree") == "one\ntwo three"


@given(
    st.recursive(
        ANY_TEXT | st.integers() | st.floats(allow_nan=False) | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
        max_leaves=5,
    )
)
def test_json_is_safe_and_means_the_same(value: object) -> None:
    """Printed JSON decodes to the same value and obeys no terminal."""
    text = to_json(value)

    assert json.loads(text) == value
    assert unsafe(text) == set()


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2024-05-10T11:59:40Z", "just now"),
        ("2024-05-10T12:00:30Z", "just now"),
        ("2024-05-10T11:59:00Z", "1 min ago"),
        ("2024-05-10T11:00:01Z", "59 min ago"),
        ("2024-05-10T09:00:00.250Z", "2 h ago"),
        ("2024-05-09T11:59:59Z", "1 day ago"),
        ("2024-04-27T12:00:00Z", "13 days ago"),
        ("2024-04-26T12:00:00Z", "2024-04-26"),
        ("2030-01-02T03:04:05Z", "2030-01-02 03:04"),
    ],
)
def test_moments_are_told_from_now(moment: str, words: str) -> None:
    """The recent past is told as a distance, all else as a date."""
    assert words == ago(moment, datetime(2024, 5, 10, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (11520, "3 h 12 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_name_their_two_largest_units(seconds: float, words: str) -> None:
    """A length of time is told as coarsely as a person would."""
    assert words == duration(seconds)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_500_000, "1.5 MB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_keep_one_decimal(count: int, words: str) -> None:
    """A number of bytes is told in its largest unit and never as 1000 of one."""
    assert words == size(count)


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.0, "1"), (0.333, "0.33"), (1234.5, "1,234.5"), (0.0, "0"), (0.0004, "0.0004")],
)
def test_numbers_have_no_idle_zeros(value: float, words: str) -> None:
    """Two decimals at most; a small number is never told as nothing."""
    assert words == number(value)


def test_counts_agree_with_their_noun() -> None:
    """One is singular, all else plural, thousands are separated."""
    assert [many(n, "node") for n in (0, 1, 2048)] == [
        "0 nodes",
        "1 node",
        "2,048 nodes",
    ]


@given(st.text(), st.integers(1, 20))
@example("日本語", 4)
def test_cut_text_is_never_wider_than_asked(text: str, columns: int) -> None:
    """What is cut fits, and ends in an ellipsis only if something is missing."""
    short = cut(text, columns)

    assert width(short) <= columns
    assert short == text or short.endswith("…")


def test_width_counts_columns() -> None:
    """Wide characters take two columns, combining ones none."""
    assert [width("abc"), width("日本"), width("e\u0301")] == [3, 4, 1]


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("Bees need the garden, and so do we", "bees-need-the-garden-and"),
        ("Über die Gärten: eins", "über-die-gärten-eins"),
        ("日本語", "日本語"),
        ("!?…", "thought"),
        ("snake_case/../x", "snake-case-x"),
        ("a" * 99, "a" * 40),
    ],
)
def test_a_key_begins_with_the_words(text: str, stem: str) -> None:
    """The readable part of a key holds letters, digits and hyphens of the text."""
    assert stem == key_stem(text)
