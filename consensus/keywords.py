"""A few words that tell what a consensus node is about, beside its label.

A word tells much that many of the node's texts have and few of the circle's others.
Words are compared as they are written, without upper case; no language is known but for
the most common English words, which tell nothing.

Rule: counts of texts, in whole numbers, and ties that end: the same words everywhere.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MOST: Final = 5
_LEAST_TEXTS: Final = 2
"""In one text only, a word tells of an author and not of a node."""
_LETTERS: Final = range(3, 31)
_ENDING: Final = 2
_SHARE: Final = 1_000_000
_WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_COMMON: Final = frozenset(
    _WORD.findall(
        "about after again all also and any are because been before being but can could"
        " did does doing don't for from get had has have having her here him his how"
        " into isn't it's its just let like make many may more most much must need not"
        " now off once one only other our out over own same she should some such than"
        " that the their them then there these they this those through too under until"
        " very want was way were what when where which while who why will with without"
        " would you your"
    )
)


def words(text: str) -> frozenset[str]:
    """Return the words of a text that may tell something."""
    return frozenset(
        word
        for word in _WORD.findall(text.casefold().replace("\u2019", "'"))
        if len(word) in _LETTERS and word not in _COMMON
    )


def keywords(
    nodes: Iterable[Sequence[str]], circle: Iterable[str], most: int = MOST
) -> Iterator[tuple[str, ...]]:
    """Yield the telling words of each node's texts, the most telling first.

    `circle` are the texts of the whole circle, those of the nodes among them.
    """
    everywhere: Counter[str] = Counter()
    for text in circle:
        everywhere.update(words(text))
    for texts in nodes:
        here: Counter[str] = Counter()
        for text in texts:
            here.update(words(text))
        yield _telling(here, everywhere, most)


def _telling(
    here: Counter[str], everywhere: Counter[str], most: int
) -> tuple[str, ...]:
    ranked = sorted(
        (word for word, count in here.items() if count >= _LEAST_TEXTS),
        key=lambda word: (
            -(here[word] ** 2 * _SHARE // max(here[word], everywhere[word])),
            -len(word),
            word,
        ),
    )
    chosen: list[str] = []
    for word in ranked:
        if len(chosen) == most:
            break
        if not any(_is_ending(word, one) for one in chosen):
            chosen.append(word)
    return tuple(chosen)


def _is_ending(one: str, other: str) -> bool:
    """Whether two words are as `mill` and `mills`, which tell the same."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and len(long) <= len(short) + _ENDING
