"""Resonance is closeness of meaning, and no text of the product calls it agreement."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    chain(REPOSITORY.glob("*.md"), REPOSITORY.glob("docs/**/*.md")),
)
SOURCES: Final = sorted(
    chain.from_iterable(
        REPOSITORY.glob(pattern)
        for pattern in ("consensus/**/*.py", "daemon/**/*.py", "daemon/**/*.js")
    )
)
AGREEING: Final = re.compile(r"\b(?:dis)?agree\w*", re.IGNORECASE)
RESONATING: Final = re.compile(
    r"resona|consensus|contribution|circle|close in meaning", re.IGNORECASE
)
EXPLICIT: Final = re.compile(
    r"affirm|dissent|\bvot(?:e|es|ing)\b"
    r"|(?:\bnot|\bnever|n't|\bno) (?:\w+ ){0,3}agree"
    r"|\b(?:devices|hash(?:es)?|results|rules|sets|sides)\b (?:\w+ ){0,3}agree"
    r"|\|[^|]*\bAGREEING\b",
    re.IGNORECASE,
)
"""What members say is agreement; it may be said what resonance is not; and devices may
agree on what they worked out, which is no opinion."""


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, each on one line."""
    for paragraph in re.split(r"\n\s*\n|\n\s*[|*-] ", text):
        yield from re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split()))


def texts(source: Path) -> Iterator[str]:
    """Yield the string constants of a Python file: messages, help and docstrings."""
    if source.suffix != ".py":
        yield source.read_text()
        return
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (each for each in node.values if isinstance(each, ast.Constant))
            yield " ".join(str(each.value) for each in parts)


def offending(text: str) -> list[str]:
    """Return the sentences that call resonance agreement."""
    return [
        each
        for each in sentences(text)
        if AGREEING.search(each)
        and RESONATING.search(each)
        and not EXPLICIT.search(each)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.name))
def test_pages_call_it_resonance(page: Path) -> None:
    """No sentence of a page presents what resonates as agreement."""
    assert offending(page.read_text()) == []


@pytest.mark.parametrize(
    "source", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_programs_call_it_resonance(source: Path) -> None:
    """Neither does a message, a help text or a document of the API."""
    assert [each for text in texts(source) for each in offending(text)] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "A consensus node shows what people agree on.",
        "Members who agree resonate.",
        "The circle is in full agreement.",
    ],
)
def test_the_scan_finds(sentence: str) -> None:
    """The scan finds what it is for."""
    assert offending(sentence) == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "Resonance is not agreement.",
        "Affirm and dissent tell whether members agree with a consensus node.",
        "Both devices agree on a key.",
        "A consensus node shows what is close in meaning.",
    ],
)
def test_the_scan_lets_be(sentence: str) -> None:
    """What members say themselves, and what resonance is not, may be said."""
    assert offending(sentence) == []
