"""From what a person types to what is found and shown."""

import html
import re

from hypothesis import example, given
from hypothesis import strategies as st

from crdt.text_query import MAX_WORDS, highlight, match_expression, relevance, words

typed = st.text(max_size=40) | st.text('a"*:^()-+ ANDORNEAR', max_size=30)
labels = st.text(max_size=60) | st.lists(
    st.sampled_from(("one", "two", "öne", "<b>", "&amp;", "_", "o")), max_size=60
).map(" ".join)
word_lists = st.lists(
    st.sampled_from(("one", "ONE", "two", "o", "öne", "_", "b", "amp")),
    min_size=1,
    max_size=3,
)


@given(typed)
def test_words_are_what_letters_make(query: str) -> None:
    """A query is cut into words without any character that means something to FTS5."""
    found = words(query)

    assert len(found) <= MAX_WORDS
    assert all(re.fullmatch(r"\w+", word) for word in found)
    assert "".join(found) in re.sub(r"\W", "", query)


@given(typed.filter(words), st.booleans())
def test_no_typed_word_is_an_operator(
    query: str,
    every: bool,  # noqa: FBT001 - drawn, not passed
) -> None:
    """Every word stands in quotes; only the last may be the beginning of a word."""
    wanted = words(query)

    expression = match_expression(wanted, every=every)

    joiner = " AND " if every else " OR "
    assert expression == joiner.join(f'"{word}"' for word in wanted) + "*"


@given(labels, word_lists)
@example("x" * 500 + " one " + "y" * 500, ["one"])
@example("<one>&\"'", ["one"])
def test_a_highlight_is_escaped_text(label: str, wanted: list[str]) -> None:
    """Without its marks a highlight is a piece of the text, escaped, and not long."""
    shown = highlight(label, wanted)

    if shown is None:
        return
    plain = html.unescape(shown.replace("<mark>", "").replace("</mark>", ""))
    assert plain.removeprefix("…").removesuffix("…") in label or plain in label
    assert len(plain) <= 162
    for tag in re.findall(r"<[^>]*>", shown):
        assert tag in ("<mark>", "</mark>")
    for marked in re.findall("<mark>(.*?)</mark>", shown):
        assert re.fullmatch(r"\w+", html.unescape(marked))


def test_words_are_found_without_case_and_accents() -> None:
    """What the index takes as one word is marked as one."""
    assert highlight("Ein Zaunkönig", ["zaunkonig"]) == "Ein <mark>Zaunkönig</mark>"
    assert highlight("ein zaunkonig", ["ZAUNKÖNIG"]) == "ein <mark>zaunkonig</mark>"
    assert highlight("Zaunkönig", ["zaun"]) == "<mark>Zaunkönig</mark>"
    assert highlight("Zaunkönig und Zaun", ["zaunk", "zaun"]) == (
        "<mark>Zaunkönig</mark> und <mark>Zaun</mark>"
    )
    assert highlight("Ein Zaunkönig", ["König"]) is None


@given(labels, word_lists)
def test_relevance_is_a_share(label: str, wanted: list[str]) -> None:
    """Relevance lies between none and all, and is some where a word is marked."""
    share = relevance(label, wanted)

    assert 0 <= share <= 1
    if highlight(label, wanted[-1:]) is not None:
        assert share > 0


def test_the_better_label_comes_first() -> None:
    """More words, whole words and a shorter label each count."""
    order = ["one two", "one two three four", "one twofold", "two", "zero"]
    shares = [relevance(label, ["one", "two"]) for label in order]

    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == len(shares)
