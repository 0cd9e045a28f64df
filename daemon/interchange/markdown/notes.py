"""One note as the node that it is and what it points at."""

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from crdt.commands import ImportEdge, PutBody, PutNode
from crdt.errors import InvalidError
from crdt.ids import (
    MAX_BODY_BYTES,
    MAX_METADATA_BYTES,
    NodeKey,
    check_key,
    has_control_characters,
)
from daemon.interchange.labels import label_of
from daemon.interchange.markdown import block, front_matter, links
from daemon.interchange.markdown.block import EdgesBlock, NodeBlock
from daemon.interchange.markdown.links import Link
from daemon.interchange.records import Imported
from daemon.interchange.tar import ArchivedFile

MAX_FRONT_MATTER_BYTES: Final = 2 * 1024 * 1024
"""Room for the edges that an export puts there; metadata has its own, lower limit."""
MAX_NOTE_BYTES: Final = MAX_FRONT_MATTER_BYTES + MAX_BODY_BYTES
SUFFIX: Final = ".md"
NOTE_TYPE: Final = "note"
_TAG_SEPARATORS: Final = re.compile(r"[,\s]+")


class Pointers(msgspec.Struct, frozen=True):
    """What a note points at, to be resolved once every note is known."""

    path: str
    """Of the note, without `.md`."""
    source: NodeKey
    links: list[tuple[Link, int]] = []
    """Each link and how often it stands in the body."""
    tags: list[str] = []
    edges: list[ImportEdge] = []


class Note(msgspec.Struct, frozen=True):
    """What one file says."""

    commands: list[Imported]
    """Its node and body; none in a file that only carries further edges."""
    pointers: Pointers


def is_note(path: str) -> bool:
    """Whether a file is one: `.md`, and no part of its path hidden."""
    is_hidden = any(part.startswith(".") for part in path.split("/"))
    return path.lower().endswith(SUFFIX) and not is_hidden


def parse(file: ArchivedFile) -> Note:
    """Return what a file says; raise `InvalidError` if it cannot be a node.

    A front matter that cannot be read is no reason: it is then part of the body.
    """
    path = unicodedata.normalize("NFC", file.path)[: -len(SUFFIX)]
    fields, body = _fields_and_body(file.content)
    told = block.parse(fields)
    if isinstance(told, EdgesBlock):
        source = check_key(told.more_edges_of)
        edges = [block.edge_of(source, entry) for entry in told.edges]
        return Note([], Pointers(path, source, edges=edges))
    if isinstance(told, NodeBlock):
        metadata = {name: fields[name] for name in fields if name != block.FIELD}
        return _exported_note(path, told, metadata, body)
    return _own_note(path, fields, body)


def _fields_and_body(content: bytes) -> tuple[dict[str, Any], str]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidError("text", "it is not UTF-8") from None
    front, body = front_matter.split(text)
    fields: dict[str, Any] = {}
    if front is not None:
        if len(front.encode()) > MAX_FRONT_MATTER_BYTES:
            raise InvalidError("front matter", "it is too large")
        try:
            fields = front_matter.decode(front)
        except InvalidError:
            body = text
    if len(body.encode()) > MAX_BODY_BYTES:
        raise InvalidError("body", f"must be at most {MAX_BODY_BYTES} bytes")
    return fields, body


def _own_note(path: str, fields: dict[str, Any], body: str) -> Note:
    key = check_key(path)
    if any(has_control_characters(name) for name in fields):
        raise InvalidError("front matter", "a name holds control characters")
    if len(msgspec.json.encode(fields)) > MAX_METADATA_BYTES:
        raise InvalidError(
            "front matter", f"must be at most {MAX_METADATA_BYTES} bytes of JSON"
        )
    found = links.find(body)
    title = fields.get("title")
    candidates = (
        title if isinstance(title, str) else "",
        found.heading or "",
        posixpath.basename(path),
    )
    label = next((label for label in map(label_of, candidates) if label), key)
    node = PutNode(key=key, label=label, type=NOTE_TYPE, metadata=fields)
    tags = list(links.normal_tags([*_front_matter_tags(fields), *found.tags]))
    pointers = Pointers(path, key, list(found.links.items()), tags)
    commands: list[Imported] = [node, *_body(key, body)]
    return Note(commands, pointers)


def _exported_note(
    path: str, told: NodeBlock, metadata: dict[str, Any], body: str
) -> Note:
    key = check_key(told.key)
    commands: list[Imported] = [block.node_of(told, metadata), *_body(key, body)]
    edges = [block.edge_of(key, entry) for entry in told.edges]
    if told.body == block.body_digest(body):
        return Note(commands, Pointers(path, key, edges=edges))
    found = links.find(body)
    tags = list(links.normal_tags(found.tags))
    return Note(commands, Pointers(path, key, list(found.links.items()), tags, edges))


def _body(key: NodeKey, body: str) -> list[PutBody]:
    return [PutBody(key=key, text=body)] if body else []


def _front_matter_tags(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the tags of the fields `tags` and `tag`: a list, or text with commas."""
    for name in ("tags", "tag"):
        value = fields.get(name)
        if isinstance(value, str):
            yield from _TAG_SEPARATORS.split(value)
        elif isinstance(value, list):
            yield from (tag for tag in value if isinstance(tag, str))
