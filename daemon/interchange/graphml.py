"""GraphML as networkx, yEd and Gephi read it: the shared part and the writer.

Rules of this file:
1. Every field is a typed key; a scalar metadata name is the key `m.NAME`, all other
   metadata is one JSON object under the key `metadata`.
2. GraphML declares its keys before the first node, so the graph is gone through
   twice. A name that is new or of another kind the second time goes into the JSON.
3. XML cannot hold some characters; a text with one is written as `json:"..."`.

Bodies and energy are not written: they mean nothing to those programs.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias
from xml.sax.saxutils import escape, quoteattr

import msgspec

from crdt.records import Edge, Metadata, Node
from daemon.interchange.records import ExportedGraph
from daemon.interchange.timestamps import format_time

METADATA_PREFIX: Final = "m."
_MAX_COLUMNS: Final = 256
"""Metadata names with keys of their own: each is a column in such programs."""
_CHUNK_CHARACTERS: Final = 64 * 1024
_ARMOUR: Final = "json:"
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CARRIAGE_RETURN: Final = {"\r": "&#13;"}

_Columns: TypeAlias = Mapping[str, tuple[str, str]]
"""Attribute name to (key id, attribute type)."""
_NODE_FIELDS: Final = ("label", "type", "network", "created_at", "updated_at")
_EDGE_FIELDS: Final = ("type", "created_at")

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"""
_TAIL: Final = "</graph>\n</graphml>\n"


def write(graph: ExportedGraph) -> Iterator[bytes]:
    """Yield `graph` as chunks of one GraphML document."""
    parts: list[str] = []
    size = 0
    for part in _document(graph):
        parts.append(part)
        size += len(part)
        if size >= _CHUNK_CHARACTERS:
            yield "".join(parts).encode()
            parts, size = [], 0
    yield "".join(parts).encode()


def armoured(text: str) -> str:
    """Return `text` such that XML can hold it and `bare` gives it back."""
    if _UNWRITABLE.search(text) or text.startswith(_ARMOUR):
        return _ARMOUR + json.dumps(text)
    return text


def bare(text: str) -> str:
    """Return what was given to `armoured`; any other text as it is."""
    if not text.startswith(_ARMOUR):
        return text
    try:
        return msgspec.json.decode(text.removeprefix(_ARMOUR), type=str)
    except (msgspec.MsgspecError, UnicodeError):
        return text


def _document(graph: ExportedGraph) -> Iterator[str]:
    nodes = (exported.node for exported in graph.nodes(with_bodies=False))
    node_kinds = dict.fromkeys(_NODE_FIELDS, "string")
    node_kinds |= _metadata_kinds(node.metadata for node in nodes)
    edge_kinds = dict.fromkeys(_EDGE_FIELDS, "string") | {"weight": "double"}
    edge_kinds |= _metadata_kinds(edge.metadata for edge in graph.edges())
    node_columns, edge_columns = _columns("n", node_kinds), _columns("e", edge_kinds)
    yield _HEAD
    yield from _key_elements("node", node_columns)
    yield from _key_elements("edge", edge_columns)
    yield '<graph id="G" edgedefault="directed">\n'
    for exported in graph.nodes(with_bodies=False):
        yield _node_element(exported.node, node_columns)
    for edge in graph.edges():
        yield _edge_element(edge, edge_columns)
    yield _TAIL


def _metadata_kinds(found: Iterable[Metadata]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for metadata in found:
        for name, value in metadata.items():
            kind = _kind(value)
            if kind is not None and len(kinds) < _MAX_COLUMNS:
                kinds.setdefault(METADATA_PREFIX + name, kind)
    return kinds | {"metadata": "string"}


def _kind(value: object) -> str | None:
    """Return the GraphML type of a scalar, None for what only JSON can hold."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "long" if -(2**63) <= value < 2**63 else None
        case float():
            return "double"
        case str():
            return "string"
        case _:
            return None


def _columns(letter: str, kinds: Mapping[str, str]) -> _Columns:
    return {
        name: (f"{letter}{number}", kind)
        for number, (name, kind) in enumerate(kinds.items())
    }


def _key_elements(domain: str, columns: _Columns) -> Iterator[str]:
    for name, (identity, kind) in columns.items():
        yield (
            f'<key id="{identity}" for="{domain}" '
            f'attr.name={_attribute(name)} attr.type="{kind}"/>\n'
        )


def _node_element(node: Node, columns: _Columns) -> str:
    fields = {
        "label": node.label,
        "type": node.type,
        "network": node.network,
        "created_at": format_time(node.created_ms),
        "updated_at": format_time(node.updated_ms),
    }
    content = _data_elements(fields, node.metadata, columns)
    return f"<node id={_attribute(node.key)}>{content}</node>\n"


def _edge_element(edge: Edge, columns: _Columns) -> str:
    fields = {
        "type": edge.type,
        "weight": edge.weight,
        "created_at": format_time(edge.created_ms),
    }
    content = _data_elements(fields, edge.metadata, columns)
    ends = f"source={_attribute(edge.source)} target={_attribute(edge.target)}"
    return f'<edge id="{edge.id}" {ends}>{content}</edge>\n'


def _data_elements(
    fields: Mapping[str, Any], metadata: Metadata, columns: _Columns
) -> str:
    rest: Metadata = {}
    shown = dict(fields)
    for name, value in metadata.items():
        column = columns.get(METADATA_PREFIX + name)
        if column is not None and column[1] == _kind(value):
            shown[METADATA_PREFIX + name] = value
        else:
            rest[name] = value
    if rest:
        shown["metadata"] = msgspec.json.encode(rest).decode()
    return "".join(
        f'<data key="{columns[name][0]}">{_text(value)}</data>'
        for name, value in shown.items()
    )


def _text(value: str | float) -> str:
    """Return a scalar as element text; a float so that it reads back exactly."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return escape(armoured(value), _CARRIAGE_RETURN)
        case _:
            return repr(value)


def _attribute(text: str) -> str:
    return quoteattr(armoured(text), _CARRIAGE_RETURN)
