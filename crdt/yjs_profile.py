"""What shards and bodies hold, and so what an update to one of them may carry.

Specification: docs/protocol/yjs-update.md. The allow-list is narrow on purpose: what
the documents have no place for, such as nested values or types, cannot hurt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from crdt.errors import MalformedError
from crdt.yjs_bytes import read_length, read_text

NODES: Final = "n"
EDGES: Final = "e"
BODY_TEXT: Final = "t"

DELETED: Final = 1
STRING: Final = 4
FORMAT: Final = 6
ANY: Final = 8
ONE_STRING: Final = b"\x01\x77"
"""Head of an Any content that is one value, a string."""

ContentReader: TypeAlias = Callable[[bytes, int], tuple[int, int]]
"""(update, position) to (number of clocks the content takes, position after it)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of document may hold."""

    parents: Mapping[bytes, str]
    """Names of the root types by the three bytes that stand for them in an update."""
    is_map: bool
    """The root types are maps, so every item has a key; else they are texts."""
    contents: Mapping[int, ContentReader]
    """How to read each kind of content that is allowed, by its number in Yjs."""


def _read_json_value(data: bytes, at: int) -> tuple[int, int]:
    """Walk one string; whether it is JSON is for its reader to say."""
    if data[at : at + 2] != ONE_STRING:
        raise MalformedError("update: an entry that is not one string")
    _, at = read_text(data, at + 2)
    return 1, at


def _read_string(data: bytes, at: int) -> tuple[int, int]:
    """Walk a run of text; it takes one clock per UTF-16 code unit."""
    text, at = read_text(data, at)
    if not text:
        raise MalformedError("update: an empty run of text")
    if text.isascii():
        return len(text), at
    return len(text.encode("utf-16-le")) // 2, at


def _read_format(data: bytes, at: int) -> tuple[int, int]:
    _, at = read_text(data, at)
    value, at = read_text(data, at)
    try:
        _FORMAT_VALUE.decode(value)
    except msgspec.DecodeError:
        raise MalformedError("update: a format that is not one JSON scalar") from None
    return 1, at


_FORMAT_VALUE: Final = msgspec.json.Decoder(bool | float | str | None)

SHARD: Final = Profile(
    parents={b"\x01\x01n": NODES, b"\x01\x01e": EDGES},
    is_map=True,
    contents={DELETED: read_length, ANY: _read_json_value},
)
"""A shard: two maps from text to JSON in strings."""

BODY: Final = Profile(
    parents={b"\x01\x01t": BODY_TEXT},
    is_map=False,
    contents={DELETED: read_length, STRING: _read_string, FORMAT: _read_format},
)
"""A body: one text, which an editor may have formatted."""
