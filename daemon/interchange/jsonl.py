"""JSON Lines: the lossless format. One line is one thing.

    header  {"fractality": "export", "version": 1}
    node    {"key", "label", "type", "metadata", "network", "created_at",
             "updated_at", "version", "accumulators", "body"}
    edge    {"from", "to", "type", "weight", "metadata", "created_at"}
    text    {"text", ...}: a person's own data, without keys

Rules of this file:
1. A line is told by its names: `key`, else `from` and `to`, else `text`.
2. Below a header, names this version does not know are ignored: a later version may
   have added them. Without a header the file is a person's own: they are metadata.
3. Nodes pass through as they come; edges wait until the end.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from crdt.commands import ImportEdge, ImportNode, PutBody, PutEdge, PutNode
from crdt.errors import InvalidError
from crdt.records import DEFAULT_EDGE_TYPE, DEFAULT_NETWORK, DEFAULT_NODE_TYPE, Edge
from daemon.interchange.chunks import numbered_lines
from daemon.interchange.held import Held
from daemon.interchange.labels import label_of
from daemon.interchange.records import ExportedGraph, ExportedNode, Imported
from daemon.interchange.timestamps import format_time, parse_time

VERSION: Final = 1
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
"""Room for a body of 4 MiB whose every byte is written as an escape of six."""
_CHUNK_BYTES: Final = 64 * 1024
_EdgeCommand: TypeAlias = ImportEdge | PutEdge


class Header(msgspec.Struct, frozen=True):
    """The first line of an export."""

    fractality: str
    version: int


class NodeLine(msgspec.Struct, frozen=True):
    """A node; with `created_at` it keeps its history, without it is made now."""

    key: str
    label: str | None = None
    type: str = DEFAULT_NODE_TYPE
    metadata: dict[str, Any] = {}
    network: str = DEFAULT_NETWORK
    created_at: str | None = None
    updated_at: str | None = None
    version: int = 1
    accumulators: dict[str, float] = {}
    body: str | None = None


class EdgeLine(msgspec.Struct, frozen=True):
    """An edge between two keys."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    type: str = DEFAULT_EDGE_TYPE
    weight: float = 1.0
    metadata: dict[str, Any] = {}
    created_at: str | None = None
    version: int | msgspec.UnsetType = msgspec.UNSET
    """Left out of those that never changed: they are most."""


_EDGES: Final = msgspec.json.Decoder(list[_EdgeCommand])
_NODE_NAMES: Final = frozenset(NodeLine.__struct_encode_fields__)
_EDGE_NAMES: Final = frozenset(EdgeLine.__struct_encode_fields__) - {"version"}
"""Of a person's own line; a version says something only in an export."""


def write(graph: ExportedGraph) -> Iterator[bytes]:
    """Yield `graph` as chunks of whole lines: header, nodes, edges."""
    encoder = msgspec.json.Encoder()
    chunk = bytearray(encoder.encode(Header("export", VERSION)) + b"\n")
    for line in _lines(graph):
        chunk += encoder.encode(line)
        chunk += b"\n"
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def read(chunks: Iterable[bytes]) -> Iterator[Imported]:
    """Yield what the lines say, all nodes before all edges.

    Raises `InvalidError` whose field is the line at fault; what was yielded until
    then stands.
    """
    edges: Held[_EdgeCommand] = Held(_EDGES)
    is_export = False
    for number, line in numbered_lines(chunks, MAX_LINE_BYTES):
        try:
            fields = msgspec.json.decode(line)
            if isinstance(fields, dict) and "fractality" in fields:
                _check_header(msgspec.convert(fields, Header))
                is_export = True
                continue
            for command in _commands(fields, is_export=is_export):
                if isinstance(command, ImportEdge | PutEdge):
                    edges.add(command)
                else:
                    yield command
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise InvalidError(f"line {number}", str(error)) from None
        except RecursionError:
            raise InvalidError(f"line {number}", "it is nested too deeply") from None
        except InvalidError as error:
            raise InvalidError(f"line {number}", str(error)) from None
    yield from edges.drain()


def _lines(graph: ExportedGraph) -> Iterator[NodeLine | EdgeLine]:
    for exported in graph.nodes(with_bodies=True):
        yield _node_line(exported)
    for edge in graph.edges():
        yield _edge_line(edge)


def _node_line(exported: ExportedNode) -> NodeLine:
    node = exported.node
    return NodeLine(
        key=node.key,
        label=node.label,
        type=node.type,
        metadata=node.metadata,
        network=node.network,
        created_at=format_time(node.created_ms),
        updated_at=format_time(node.updated_ms),
        version=node.version,
        accumulators=exported.accumulators,
        body=exported.body or None,
    )


def _edge_line(edge: Edge) -> EdgeLine:
    return EdgeLine(
        source=edge.source,
        target=edge.target,
        type=edge.type,
        weight=edge.weight,
        metadata=edge.metadata,
        created_at=format_time(edge.created_ms),
        version=msgspec.UNSET if edge.version == 1 else edge.version,
    )


def _check_header(header: Header) -> None:
    if header.fractality != "export":
        raise InvalidError("fractality", "this file is not an export of a graph")
    if header.version > VERSION:
        raise InvalidError(
            "version", "this export was made by a newer version; update to read it"
        )


def _commands(fields: object, *, is_export: bool) -> Iterator[Imported]:
    if not isinstance(fields, dict):
        raise InvalidError("line", "it must be a JSON object")
    if "key" in fields:
        fields = fields if is_export else _with_extras(fields, _NODE_NAMES)
        yield from _node_commands(msgspec.convert(fields, NodeLine))
    elif "from" in fields and "to" in fields:
        fields = fields if is_export else _with_extras(fields, _EDGE_NAMES)
        yield _edge_command(msgspec.convert(fields, EdgeLine))
    elif "text" in fields and not is_export:
        yield from _text_commands(fields)
    else:
        raise InvalidError(
            "line", "it is neither a node (key), an edge (from, to) nor a text (text)"
        )


def _with_extras(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return `fields` with the names that are not `known` moved to the metadata."""
    extras = {name: value for name, value in fields.items() if name not in known}
    metadata = fields.get("metadata", {})
    if not extras or not isinstance(metadata, dict):
        return fields
    return {**fields, "metadata": {**extras, **metadata}}


def _node_commands(line: NodeLine) -> Iterator[Imported]:
    label = line.key if line.label is None else line.label
    if line.created_at is None:
        yield PutNode(
            key=line.key,
            label=label,
            type=line.type,
            metadata=line.metadata,
            network=line.network,
        )
    else:
        yield ImportNode(
            key=line.key,
            label=label,
            type=line.type,
            metadata=line.metadata,
            network=line.network,
            created_ms=parse_time(line.created_at, "created_at"),
            updated_ms=parse_time(line.updated_at or line.created_at, "updated_at"),
            version=line.version,
            accumulators=line.accumulators,
        )
    if line.body:
        yield PutBody(key=line.key, text=line.body)


def _edge_command(line: EdgeLine) -> _EdgeCommand:
    if line.created_at is None:
        return PutEdge(
            source=line.source,
            target=line.target,
            type=line.type,
            weight=line.weight,
            metadata=line.metadata,
        )
    return ImportEdge(
        source=line.source,
        target=line.target,
        type=line.type,
        weight=line.weight,
        metadata=line.metadata,
        created_ms=parse_time(line.created_at, "created_at"),
        version=1 if line.version is msgspec.UNSET else line.version,
    )


def _text_commands(fields: dict[str, Any]) -> Iterator[Imported]:
    """Make a node of a line without a key; the same line always gets the same key."""
    text = fields["text"]
    if not isinstance(text, str):
        raise InvalidError("text", "must be a string")
    ordered = msgspec.json.encode(fields, order="deterministic")
    key = f"line-{hashlib.sha256(ordered).hexdigest()[:16]}"
    label = label_of(text) or key
    metadata = {name: value for name, value in fields.items() if name != "text"}
    yield PutNode(key=key, label=label, metadata=metadata)
    if label != text and text:
        yield PutBody(key=key, text=text)
