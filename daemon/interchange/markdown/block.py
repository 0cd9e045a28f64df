"""What an exported note says of itself, under the front matter field `fractality`.

All other fields of the front matter are the node's metadata, as a person sees them.
`body` is the digest of the body as exported: while it fits, `edges` is the whole
truth; once a person has edited the body, its links and tags count as well.
"""

import hashlib
from typing import Any, Final

import msgspec

from crdt.commands import ImportEdge, ImportNode
from crdt.errors import InvalidError
from crdt.records import Edge, Metadata, Node
from daemon.interchange.markdown import front_matter
from daemon.interchange.timestamps import format_time, parse_time

FIELD: Final = "fractality"


class EdgeEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One edge that starts at the note's node."""

    to: str
    type: str
    weight: float
    created_at: str
    metadata: str | None = None
    """A JSON object."""


class NodeBlock(msgspec.Struct, frozen=True, omit_defaults=True):
    """The node that a note is."""

    key: str
    label: str
    type: str
    network: str
    created_at: str
    updated_at: str
    body: str
    metadata: str | None = None
    """A JSON object: all metadata, where YAML could not hold it exactly."""
    edges: list[EdgeEntry] = []


class EdgesBlock(msgspec.Struct, frozen=True, omit_defaults=True):
    """More edges of a node that has too many for one note."""

    more_edges_of: str
    edges: list[EdgeEntry]


def node_fields(node: Node, body: str, edges: list[EdgeEntry]) -> dict[str, Any]:
    """Return the whole front matter of a node's note."""
    is_shown = FIELD not in node.metadata and front_matter.is_plain(node.metadata)
    block = NodeBlock(
        key=node.key,
        label=node.label,
        type=node.type,
        network=node.network,
        created_at=format_time(node.created_ms),
        updated_at=format_time(node.updated_ms),
        body=body_digest(body),
        metadata=None if is_shown else _json(node.metadata),
        edges=edges,
    )
    shown = node.metadata if is_shown else {}
    return {**shown, FIELD: msgspec.to_builtins(block)}


def more_edges_fields(source: str, edges: list[EdgeEntry]) -> dict[str, Any]:
    """Return the whole front matter of a note that only carries edges."""
    return {FIELD: msgspec.to_builtins(EdgesBlock(source, edges))}


def edge_entry(edge: Edge) -> EdgeEntry:
    """Return how a note tells of `edge`."""
    return EdgeEntry(
        to=edge.target,
        type=edge.type,
        weight=edge.weight,
        created_at=format_time(edge.created_ms),
        metadata=_json(edge.metadata) if edge.metadata else None,
    )


def parse(fields: dict[str, Any]) -> NodeBlock | EdgesBlock | None:
    """Return the block among the fields of a front matter, None for a person's own.

    Raises `InvalidError` if it is there but damaged.
    """
    block = fields.get(FIELD)
    if not isinstance(block, dict) or not {"key", "more_edges_of"} & block.keys():
        return None
    try:
        if "key" in block:
            return msgspec.convert(block, NodeBlock)
        return msgspec.convert(block, EdgesBlock)
    except msgspec.ValidationError as error:
        raise InvalidError(FIELD, str(error)) from None


def node_of(block: NodeBlock, shown: Metadata) -> ImportNode:
    """Return the node that a block and the fields beside it describe."""
    metadata = shown if block.metadata is None else _object(block.metadata)
    return ImportNode(
        key=block.key,
        label=block.label,
        type=block.type,
        metadata=metadata,
        network=block.network,
        created_ms=parse_time(block.created_at, "created_at"),
        updated_ms=parse_time(block.updated_at, "updated_at"),
    )


def edge_of(source: str, entry: EdgeEntry) -> ImportEdge:
    """Return the edge that an entry in the note of `source` describes."""
    return ImportEdge(
        source=source,
        target=entry.to,
        type=entry.type,
        weight=entry.weight,
        metadata=_object(entry.metadata) if entry.metadata is not None else {},
        created_ms=parse_time(entry.created_at, "created_at"),
    )


def body_digest(body: str) -> str:
    """Return the mark by which an edited body is told from the exported one."""
    return f"sha256-{hashlib.sha256(body.encode()).hexdigest()[:16]}"


def _json(metadata: Metadata) -> str:
    return msgspec.json.encode(metadata).decode()


def _object(text: str) -> Metadata:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidError("metadata", "must be a JSON object") from None
