"""From what a person types to a full-text query, and from a hit to its highlight.

Rule: nothing a person types is an operator; every word is looked for as it stands,
the last one also as the beginning of a word.
"""

import html
import re
import unicodedata
from typing import Final

MAX_WORDS: Final = 16
_EXCERPT_CHARACTERS: Final = 160
_BEGINNING: Final = 0.7
_LONG_LABEL: Final = 20
"""Words of a label that is twice as long as most."""
_WORD: Final = re.compile(r"\w+")


def words(query: str) -> list[str]:
    """Return the words of a query, at most `MAX_WORDS`."""
    return _WORD.findall(query)[:MAX_WORDS]


def match_expression(wanted: list[str], *, every: bool) -> str:
    """Return an FTS5 expression for all, or any, of these words (at least one)."""
    quoted = [f'"{word}"' for word in wanted]
    quoted[-1] += "*"
    return (" AND " if every else " OR ").join(quoted)


def relevance(label: str, wanted: list[str]) -> float:
    """Return how well a label fits the words, 0 to 1.

    The share of the words that stand in it, a mere beginning counting less, and of two
    labels that have the same words the shorter one before the longer.
    """
    standing = [_fold(match.group()) for match in _WORD.finditer(label)]
    found = 0.0
    for at, word in enumerate(map(_fold, wanted), 1):
        if word in standing:
            found += 1.0
        elif at == len(wanted) and any(s.startswith(word) for s in standing):
            found += _BEGINNING
    brevity = 1 / (1 + len(standing) / _LONG_LABEL)
    return found / len(wanted) * (0.5 + brevity / 2)


def highlight(text: str, wanted: list[str]) -> str | None:
    """Return HTML of the part of `text` where words stand, each in a `mark` element.

    None if no word stands in it. Everything else is escaped.
    """
    folded = [_fold(word) for word in wanted]
    hits = [
        match.span()
        for match in _WORD.finditer(text)
        if (word := _fold(match.group())) in folded or word.startswith(folded[-1])
    ]
    if not hits:
        return None
    start = max(0, min(hits[0][0] - _EXCERPT_CHARACTERS // 4, len(text)))
    if start + _EXCERPT_CHARACTERS >= len(text):
        start = max(0, len(text) - _EXCERPT_CHARACTERS)
    end = min(len(text), start + _EXCERPT_CHARACTERS)
    parts = ["…" if start else ""]
    at = start
    for first, last in hits:
        if first < start or last > end:
            continue
        parts += (
            html.escape(text[at:first]),
            "<mark>",
            html.escape(text[first:last]),
            "</mark>",
        )
        at = last
    parts += (html.escape(text[at:end]), "…" if end < len(text) else "")
    return "".join(parts)


def _fold(word: str) -> str:
    """Return a word as the index compares it: lower case, without diacritics."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFD", word.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
