"""The YAML between two lines of `---` at the top of a note.

Rules of this file:
1. Values are what JSON has. A plain scalar is a number only where JSON would write it
   so; dates, `010`, `12:30` and `yes` stay the text that the person wrote.
2. Reading goes by events with a depth and a count of values, aliases counted as often
   as they are used, so that no note can blow up.
"""

import json
import math
import re
from typing import Any, Final

import msgspec
import yaml

from crdt.errors import InvalidError

MAX_DEPTH: Final = 16
MAX_VALUES: Final = 100_000
_NOTE: Final = re.compile(
    r"\ufeff?---[ \t]*\r?\n((?:.*?\n)??)---[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def split(text: str) -> tuple[str | None, str]:
    """Return (front matter or None, body) of a note's text."""
    match = _NOTE.match(text)
    return (None, text) if match is None else (match[1], text[match.end() :])


def decode(front: str) -> dict[str, Any]:
    """Return the fields of a front matter.

    Raises `InvalidError` if it is not YAML, not a mapping, or beyond the limits.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(front, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError:
        raise _refusal("it is not valid YAML") from None
    fields = {} if builder.root is None else builder.root
    if not isinstance(fields, dict):
        raise _refusal("it is not a list of fields")
    return fields


def encode(fields: dict[str, Any]) -> str:
    """Return `fields` as the lines of a front matter; `is_plain` must hold."""
    text: str = yaml.dump(
        fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1_000_000
    )
    return text


def is_plain(value: object, depth: int = 1) -> bool:
    """Whether `encode` and `decode` give `value` back, inside the limits."""
    match value:
        case dict():
            return depth < MAX_DEPTH and all(
                is_plain(inner, depth + 1) for inner in value.values()
            )
        case list():
            return depth < MAX_DEPTH and all(is_plain(v, depth + 1) for v in value)
        case bool():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case _:
            return True


class _Frame(msgspec.Struct):
    """A list or mapping whose end has not come yet."""

    values: list[Any] | dict[str, Any]
    anchor: str | None
    count: int = 1
    name: str | None = None
    """The field whose value comes next."""


class _Builder:
    """The value that the events so far describe."""

    def __init__(self) -> None:
        self.root: Any = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Add one event, or raise `InvalidError`."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _refusal("it holds more than one document")
            case yaml.MappingStartEvent():
                self._open({}, event.anchor)
            case yaml.SequenceStartEvent():
                self._open([], event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self._frames.pop()
                self._place(frame.values, frame.count, frame.anchor)
            case yaml.ScalarEvent():
                self._place_scalar(event)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise _refusal("it refers to a name that it does not define")
                self._place(*self._anchors[event.anchor], None)
            case _:
                pass

    def _open(self, values: list[Any] | dict[str, Any], anchor: str | None) -> None:
        if len(self._frames) == MAX_DEPTH:
            raise _refusal("it is nested too deeply")
        self._frames.append(_Frame(values, anchor))

    def _place_scalar(self, event: yaml.ScalarEvent) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is None or isinstance(frame.values, list) or frame.name is not None:
            is_quoted = bool(event.style) or event.tag is not None
            value = event.value if is_quoted else _plain_scalar(event.value)
            self._place(value, 1, event.anchor)
        elif event.value in frame.values:
            raise _refusal("it names a field twice")
        else:
            frame.name = event.value

    def _place(self, value: Any, count: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, count)
        if not self._frames:
            self.root = value
            return
        frame = self._frames[-1]
        frame.count += count
        if frame.count > MAX_VALUES:
            raise _refusal("it holds too many values")
        if isinstance(frame.values, list):
            frame.values.append(value)
        elif frame.name is None:
            raise _refusal("the name of a field is not text")
        else:
            frame.values[frame.name] = value
            frame.name = None


def _refusal(detail: str) -> InvalidError:
    return InvalidError("front matter", detail)


def _plain_scalar(text: str) -> str | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text) or len(text) > 32:
        return text
    number = json.loads(text)
    is_kept = math.isfinite(number) if isinstance(number, float) else is_plain(number)
    return number if is_kept else text


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen at run time
    """Quotes what a reader of YAML 1.1, of 1.2 or `decode` would not take as text."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out where it stands."""
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_safe = text.isprintable() and _plain_scalar(text) is text
    style = None if is_safe else '"'
    node: yaml.ScalarNode = dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=style
    )
    return node


_Dumper.add_representer(str, _represent_text)
