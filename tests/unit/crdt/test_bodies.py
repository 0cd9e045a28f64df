"""Long texts: replaced with small edits, merged, and kept in one row each."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdt.bodies import body_hash, load_body, save_body
from crdt.database import Connection, Database
from crdt.document import BodyDocument
from crdt.yjs_profile import BODY
from crdt.yjs_update import parse
from tests.support.replicas import STORE_KEY, scratch_folder

texts = st.text(
    st.sampled_from("aab é\U0001f600\U0001f601\U0001f3fd\n\u0301"), max_size=12
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@contextmanager
def connected() -> Iterator[Connection]:
    with scratch_folder() as home, Database(home, STORE_KEY) as database:
        yield database.writer


@given(st.lists(texts, min_size=1, max_size=6))
@example(["\U0001f600", "\U0001f601", "\U0001f600\U0001f601"])
def test_a_body_reads_as_it_was_replaced(history: list[str]) -> None:
    """After each replacement the text is the new one, on either side."""
    here, there = BodyDocument(1, []), BodyDocument(2, [])
    for text in history:
        update = here.replace(text)
        parse(update, BODY)
        there.apply(update)
        assert here.text() == there.text() == text
    assert BodyDocument(3, [here.snapshot()]).text() == history[-1]


@given(texts, texts, texts, texts, texts)
def test_edits_in_different_places_merge(
    start: str, end: str, here_text: str, there_text: str, middle: str
) -> None:
    """What two devices put at the two ends of a text is there on both."""
    middle = f"<{middle}>"
    here, there = BodyDocument(1, []), BodyDocument(2, [])
    there.apply(here.replace(start + middle + end))
    first = here.replace(here_text + middle + end)
    second = there.replace(start + middle + there_text)
    here.apply(second)
    there.apply(first)

    assert here.text() == there.text() == here_text + middle + there_text


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(texts, min_size=1, max_size=6))
def test_a_row_holds_the_whole_body(history: list[str]) -> None:
    """Each save tells the hash of the text before and after; none is empty."""
    known = b""
    with connected() as connection:
        for text in history:
            document = load_body(connection, 3, 1)
            update = document.replace(text)
            hashes = save_body(connection, 3, document, update)
            after = hashlib.sha256(text.encode()).digest() if text else b""
            assert hashes == (known, after)
            known = after
        assert load_body(connection, 3, 1).text() == history[-1]
        assert body_hash(connection, 3) == known
        assert load_body(connection, 4, 1).text() == ""
        assert body_hash(connection, 4) == b""


def test_what_waits_for_a_missing_update_is_kept() -> None:
    """A part that came too early shows when the part before it has come."""
    author = BodyDocument(9, [])
    first, second, third = (author.replace(text) for text in ("a", "ab", "abc"))
    with connected() as connection:
        for update, shown in ((third, ""), (second, ""), (first, "abc")):
            document = load_body(connection, 1, 1)
            document.apply(update)
            save_body(connection, 1, document, update)
            assert load_body(connection, 1, 1).text() == shown
