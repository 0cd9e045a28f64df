"""A few words that tell what a node is about."""

from hypothesis import given
from hypothesis import strategies as st

from consensus.keywords import keywords, words

MILL = [
    "Turn the old mill into a library for children",
    "A library in the mill would be best",
    "The Mill should become a LIBRARY",
]
ROAD = [
    "The road by the school needs a crossing",
    "Cars are too fast where the road meets the school",
    "A safe way to school",
]
OTHERS = ["We need the mill", "Sell the mill", "The mill must be kept as it is"]

texts = st.lists(st.sampled_from([*MILL, *ROAD, *OTHERS]), max_size=6)


def of(*nodes: list[str]) -> list[tuple[str, ...]]:
    """Return the keywords of nodes in a circle of all texts."""
    return list(keywords(nodes, [*MILL, *ROAD, *OTHERS]))


def test_what_a_node_says_and_others_do_not_comes_first() -> None:
    """A word of all its texts that nobody else uses is the most telling."""
    assert of(MILL, ROAD) == [("library", "mill"), ("school", "road")]


def test_words_of_one_text_or_of_no_meaning_tell_nothing() -> None:
    """Neither what one says alone nor what everybody always says is a keyword."""
    assert of(["children and the crossing", "and the rest"], []) == [(), ()]
    assert words("It's THE would-be mill; don't, 12 a_b") == {"would-be", "mill"}


def test_endings_are_left_out() -> None:
    """Of words that differ in their ending only one is told."""
    told = of(
        ["mills and mill", "mill, mills", "million mill mills million", "million"]
    )

    assert told == [("mills", "million")]


@given(nodes=st.lists(texts, max_size=3), seed=st.randoms())
def test_no_order_shows(nodes: list[list[str]], seed: object) -> None:
    """The same texts in another order have the same words, at most five."""
    mixed = [sorted(some) for some in nodes]

    assert of(*nodes) == of(*mixed)
    assert all(len(some) <= 5 for some in of(*nodes))
