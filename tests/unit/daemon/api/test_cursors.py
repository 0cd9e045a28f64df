"""Cursors: a place in a list, as text that a client hands back."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from daemon.api.nodes import decode_cursor, encode_cursor


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_is_the_place_it_was_made_of(place: str) -> None:
    """Any key comes back, and the cursor needs no escape in a query."""
    cursor = encode_cursor(place)

    assert decode_cursor(cursor) == place
    assert all(each.isascii() and (each.isalnum() or each in "-_") for each in cursor)


def test_no_cursor_is_the_beginning() -> None:
    """Without a cursor a list begins before its first item."""
    assert decode_cursor(None) == ""


@given(st.text())
def test_any_other_text_is_refused_or_a_place(cursor: str) -> None:
    """What no list has answered is an invalid cursor and nothing worse."""
    with suppress(InvalidError):
        assert isinstance(decode_cursor(cursor), str)


@pytest.mark.parametrize("cursor", ["!", "a", "_w", "YQ==YQ", "ü", "Y Q"])
def test_broken_cursors_are_refused(cursor: str) -> None:
    """What is not base64 of UTF-8 names the field."""
    with pytest.raises(InvalidError, match="cursor"):
        decode_cursor(cursor)
