"""GraphML from any program, as commands.

Rule: an attribute that is not a field of ours becomes metadata. An undirected edge
is taken in the direction written, with `"directed": false` in its metadata.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from crdt.commands import ImportEdge, ImportNode, PutEdge, PutNode
from crdt.errors import InvalidError
from crdt.records import DEFAULT_EDGE_TYPE, DEFAULT_NETWORK, DEFAULT_NODE_TYPE
from daemon.interchange.chunks import gathered
from daemon.interchange.graphml import METADATA_PREFIX, bare
from daemon.interchange.graphml_parser import Element, Parser, Values
from daemon.interchange.held import Held
from daemon.interchange.records import Failure, Imported
from daemon.interchange.timestamps import parse_time

_CHUNK_BYTES: Final = 64 * 1024
"""Expat starts a tag anew with every chunk: many tiny ones would cost their square."""
_EdgeCommand: TypeAlias = ImportEdge | PutEdge
_EDGES: Final = msgspec.json.Decoder(list[_EdgeCommand])


def read(chunks: Iterable[bytes]) -> Iterator[Imported]:
    """Yield what the document says, all nodes before all edges.

    Raises `InvalidError` whose field is the line at fault; what was yielded until
    then stands.
    """
    parser = Parser()
    edges: Held[_EdgeCommand] = Held(_EDGES)
    for chunk in gathered(chunks, _CHUNK_BYTES):
        for element in parser.feed(chunk):
            match element.name:
                case "node":
                    yield _node(element)
                case "edge":
                    edges.add(_edge(element))
                case _:
                    detail = "a hyperedge was passed over: edges here have two ends"
                    yield Failure(element.place, detail)
    parser.close()
    yield from edges.drain()


def _node(element: Element) -> ImportNode | PutNode:
    values = element.values
    key = _required(element, "id")
    label = _taken_text(values, "label", element.drawn_label or key)
    kind = _taken_text(values, "type", DEFAULT_NODE_TYPE)
    network = _taken_text(values, "network", DEFAULT_NETWORK)
    created_ms = _taken_time(values, "created_at")
    updated_ms = _taken_time(values, "updated_at")
    metadata = _metadata(values)
    if created_ms is None:
        return PutNode(
            key=key, label=label, type=kind, metadata=metadata, network=network
        )
    return ImportNode(
        key=key,
        label=label,
        type=kind,
        metadata=metadata,
        network=network,
        created_ms=created_ms,
        updated_ms=created_ms if updated_ms is None else updated_ms,
    )


def _edge(element: Element) -> _EdgeCommand:
    values = element.values
    source = _required(element, "source")
    target = _required(element, "target")
    kind = _taken_text(values, "type", DEFAULT_EDGE_TYPE)
    weight = _taken_weight(values)
    created_ms = _taken_time(values, "created_at")
    if element.drawn_label:
        values.setdefault("label", element.drawn_label)
    if not element.is_directed:
        values["directed"] = False
    metadata = _metadata(values)
    if created_ms is None:
        return PutEdge(
            source=source, target=target, type=kind, weight=weight, metadata=metadata
        )
    return ImportEdge(
        source=source,
        target=target,
        type=kind,
        weight=weight,
        metadata=metadata,
        created_ms=created_ms,
    )


def _required(element: Element, attribute: str) -> str:
    text = element.attributes.get(attribute)
    if text is None:
        raise InvalidError(element.place, f"the {element.name} has no {attribute!r}")
    return bare(text)


def _taken_text(values: Values, name: str, otherwise: str) -> str:
    return str(values.pop(name, otherwise))


def _taken_time(values: Values, name: str) -> int | None:
    """Take a time out of `values`; a text that is none stays there as metadata."""
    try:
        time_ms = parse_time(str(values[name]), name)
    except (KeyError, InvalidError):
        return None
    del values[name]
    return time_ms


def _taken_weight(values: Values) -> float:
    weight = values.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        return 1.0
    del values["weight"]
    return float(weight)


def _metadata(values: Values) -> dict[str, Any]:
    """Return the attributes left over, with the JSON object of `metadata` opened."""
    rest = values.pop("metadata", "{}")
    named = {
        name.removeprefix(METADATA_PREFIX): value for name, value in values.items()
    }
    try:
        return named | msgspec.json.decode(str(rest), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return named | {"metadata": rest}
