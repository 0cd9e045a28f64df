"""What the text of a note points at: links, tags and its first heading.

Rule: every search is linear in the text, whatever it holds; nothing is found inside
fenced code blocks or inline code.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

import msgspec

_FENCE: Final = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})(.*)")
_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t\r]*\n)+")
_BACKTICKS: Final = re.compile("`+")
_WIKI_LINK: Final = re.compile(r"(?<!\\)\[\[([^\[\]\n]{1,1000})\]\]")
_MARKDOWN_LINK: Final = re.compile(
    r"\]\((?:<([^<>\n]{1,1000})>|([^()<>\s]{1,1000}))(?=[\s)])"
)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_TAG_CHARACTER: Final = (
    r"[^\s\x00-\x20!-,.:-@\[-^`{-\x9f\u2000-\u206f\u2e00-\u2e7f\u3000-\u303f]"
)
_TAG: Final = re.compile(rf"(?<!\S)#({_TAG_CHARACTER}{{1,200}})")
_SUFFIX: Final = ".md"


class Link(msgspec.Struct, frozen=True):
    """The note that a link names, without `.md`, section and alias."""

    target: str
    is_relative: bool
    """Named by its path from the linking note: `[text](path.md)`."""


class Findings(msgspec.Struct, frozen=True):
    """What a body says about itself and other notes."""

    heading: str | None
    links: dict[Link, int]
    """How often each link stands in the text."""
    tags: list[str]
    """Without `#`, in the order of their first use."""


def find(body: str) -> Findings:
    """Return what `body` points at."""
    lines = list(_without_fences(body))
    headings = (_heading(line) for line in lines if "#" in line)
    heading = next((text for text in headings if text), None)
    links: Counter[Link] = Counter()
    tags: dict[str, None] = {}
    for text in _without_code_spans("\n".join(lines)):
        links.update(_wiki_links(text))
        links.update(_markdown_links(text))
        tags.update(dict.fromkeys(_tags(text)))
    return Findings(heading, dict(links), list(tags))


def normal_tags(found: Iterable[str]) -> Iterator[str]:
    """Yield tags as node names: no `#`, composed, lower-case, no number alone."""
    for tag in found:
        name = unicodedata.normalize("NFC", tag.strip().lstrip("#").strip("/")).lower()
        if name and not name.isdigit():
            yield name


def _without_fences(body: str) -> Iterator[str]:
    """Yield the lines of `body`, blank for those of fenced code."""
    fence: str | None = None
    for line in body.split("\n"):
        match = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence is not None:
            is_end = match is not None and match[1].startswith(fence)
            if is_end and match is not None and not match[2].strip():
                fence = None
            yield ""
        elif match is not None and not (match[1][0] == "`" and "`" in match[2]):
            fence = match[1]
            yield ""
        else:
            yield line


def _heading(line: str) -> str | None:
    match = _HEADING.match(line)
    return None if match is None else match[1].strip().rstrip("#").strip()


def _without_code_spans(text: str) -> Iterator[str]:
    """Yield the paragraphs of `text` with a space for each span of inline code."""
    if "`" not in text:
        yield text
        return
    for paragraph in _BLANK_LINES.split(text):
        runs = list(_BACKTICKS.finditer(paragraph))
        closing = _closing_runs([len(run[0]) for run in runs])
        kept: list[str] = []
        end = index = 0
        while index < len(runs):
            partner = closing[index]
            if partner is not None:
                kept.append(paragraph[end : runs[index].start()])
                end = runs[partner].end()
                index = partner
            index += 1
        yield " ".join([*kept, paragraph[end:]])


def _closing_runs(lengths: list[int]) -> list[int | None]:
    """Return for each run of backticks the next one of its length."""
    following: dict[int, int] = {}
    closing: list[int | None] = [None] * len(lengths)
    for index in range(len(lengths) - 1, -1, -1):
        closing[index] = following.get(lengths[index])
        following[lengths[index]] = index
    return closing


def _wiki_links(text: str) -> Iterator[Link]:
    for match in _WIKI_LINK.finditer(text):
        # In a table the bar is written as `\|`.
        target = match[1].partition("|")[0].rstrip("\\")
        if name := _name(target):
            yield Link(name, is_relative=False)


def _markdown_links(text: str) -> Iterator[Link]:
    for match in _MARKDOWN_LINK.finditer(text):
        target = unquote(match[1] or match[2])
        path = target.partition("#")[0].strip()
        is_note = path.lower().endswith(_SUFFIX) and not _SCHEME.match(path)
        if is_note and (name := _name(path)):
            yield Link(name, is_relative=True)


def _name(target: str) -> str:
    name = unicodedata.normalize("NFC", target.partition("#")[0].strip())
    return name[: -len(_SUFFIX)] if name.lower().endswith(_SUFFIX) else name


def _tags(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if "#" not in line or _HEADING.match(line):
            continue
        prose = _MARKDOWN_LINK.sub(" ", _WIKI_LINK.sub(" ", line))
        for match in _TAG.finditer(prose):
            yield match[1]
