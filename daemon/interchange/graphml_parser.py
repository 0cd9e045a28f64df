"""GraphML text into its nodes and edges, with the limits that foreign XML needs.

Rules of this file:
1. A document type is refused, so there are no entities and nothing external.
2. What may grow without end has a limit: depth, one tag, one element's text, keys.
"""

import math
from typing import Any, Final, TypeAlias
from xml.parsers.expat import ErrorString, ExpatError, ParserCreate

import msgspec

from crdt.errors import InvalidError
from daemon.interchange.graphml import bare

MAX_DEPTH: Final = 64
MAX_TAG_BYTES: Final = 1024 * 1024
MAX_TEXT_CHARACTERS: Final = 8 * 1024 * 1024
MAX_KEYS: Final = 10_000
_DRAWING: Final = "drawing"
"""The type of a key that holds how yEd draws an element, and nothing to keep."""
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}

Values: TypeAlias = dict[str, Any]
"""Attributes by their names, each of the type that its key declares."""


class Element(msgspec.Struct):
    """One node, edge or hyperedge."""

    name: str
    place: str
    """The line of its start tag."""
    attributes: dict[str, str]
    """Those of the tag: `id`, `source`, `target` and the like."""
    is_directed: bool
    values: Values
    drawn_label: str | None = None
    """The label of yEd's drawing, which it writes in no attribute."""


class _Key(msgspec.Struct):
    """A declared attribute."""

    domain: str
    name: str
    kind: str
    default: str | None = None


class Parser:
    """What has been read of one document: keys declared, elements open."""

    def __init__(self) -> None:
        self._expat = ParserCreate(namespace_separator="}")
        self._expat.buffer_text = True
        self._expat.StartDoctypeDeclHandler = self._refuse_document_type
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._fed_bytes = 0
        self._depth = 0
        self._keys: dict[str, _Key] = {}
        self._with_default: list[_Key] = []
        self._declared: _Key | None = None
        self._data_key: _Key | None = None
        self._is_directed = [True]
        self._open: list[Element] = []
        self._text: list[str] | None = None
        self._text_room = MAX_TEXT_CHARACTERS
        self._ready: list[Element] = []

    def feed(self, chunk: bytes) -> list[Element]:
        """Return the elements that `chunk` completed.

        Raises `InvalidError` whose field is the line at fault.
        """
        self._parse(chunk, is_final=False)
        self._fed_bytes += len(chunk)
        if self._fed_bytes - max(self._expat.CurrentByteIndex, 0) > MAX_TAG_BYTES:
            raise self._fault(f"one tag is longer than {MAX_TAG_BYTES} bytes")
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """Raise `InvalidError` unless the document is complete."""
        self._parse(b"", is_final=True)

    def _parse(self, chunk: bytes, *, is_final: bool) -> None:
        try:
            self._expat.Parse(chunk, is_final)
        except ExpatError as error:
            detail = f"this is not well-formed XML ({ErrorString(error.code)})"
            raise InvalidError(f"line {error.lineno}", detail) from None

    def _place(self) -> str:
        return f"line {self._expat.CurrentLineNumber}"

    def _fault(self, detail: str) -> InvalidError:
        return InvalidError(self._place(), detail)

    def _refuse_document_type(self, *_: object) -> None:
        raise self._fault("a document type (DOCTYPE) is not accepted; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(f"elements are nested deeper than {MAX_DEPTH}")
        if self._depth == 1 and name != "graphml":
            raise self._fault("the document is not GraphML")
        match name:
            case "key":
                self._declare(attributes)
            case "graph":
                self._is_directed.append(attributes.get("edgedefault") != "undirected")
            case "node" | "edge" | "hyperedge":
                self._open_element(name, attributes)
            case "data":
                identity = attributes.get("key", "")
                self._data_key = self._keys.get(identity, _Key("all", identity, ""))
                self._text = []
            case "default" | "NodeLabel" | "EdgeLabel":
                self._text = []
            case _:
                pass

    def _end(self, tag: str) -> None:
        self._depth -= 1
        match tag.rpartition("}")[2]:
            case "key":
                self._declared = None
            case "graph":
                self._is_directed.pop()
            case "node" | "edge" | "hyperedge":
                self._ready.append(self._open.pop())
            case "data":
                self._keep_value()
            case "default":
                self._keep_default()
            case "NodeLabel" | "EdgeLabel":
                if self._open and self._open[-1].drawn_label is None:
                    self._open[-1].drawn_label = "".join(self._text or ()).strip()
                self._text = None
            case _:
                pass

    def _characters(self, text: str) -> None:
        if self._text is None:
            return
        self._text_room -= len(text)
        if self._text_room < 0:
            raise self._fault(
                f"one element holds more than {MAX_TEXT_CHARACTERS} characters"
            )
        self._text.append(text)

    def _declare(self, attributes: dict[str, str]) -> None:
        if len(self._keys) == MAX_KEYS:
            raise self._fault(f"it declares more than {MAX_KEYS} attributes")
        identity = attributes.get("id", "")
        name = bare(attributes.get("attr.name", identity))
        kind = (
            _DRAWING if "yfiles.type" in attributes else attributes.get("attr.type", "")
        )
        self._declared = _Key(attributes.get("for", "all"), name, kind)
        self._keys[identity] = self._declared

    def _keep_default(self) -> None:
        if self._declared is not None and self._text is not None:
            self._declared.default = "".join(self._text)
            self._with_default.append(self._declared)
        self._text = None

    def _open_element(self, name: str, attributes: dict[str, str]) -> None:
        directed = attributes.get("directed")
        is_directed = self._is_directed[-1] if directed is None else directed != "false"
        values = {
            key.name: _typed(key.kind, key.default)
            for key in self._with_default
            if key.default is not None and key.domain in (name, "all")
        }
        element = Element(name, self._place(), attributes, is_directed, values)
        self._open.append(element)
        self._text_room = MAX_TEXT_CHARACTERS

    def _keep_value(self) -> None:
        key, self._data_key = self._data_key, None
        if self._open and key is not None and key.kind != _DRAWING:
            text = "".join(self._text or ())
            self._open[-1].values[key.name] = _typed(key.kind, text)
        self._text = None


def _typed(kind: str, text: str) -> Any:
    """Return `text` as the value its key declares, or as text if it is none."""
    try:
        match kind:
            case "boolean":
                return _TRUTH[text.strip().lower()]
            case "int" | "long":
                number = int(text)
                return number if -(2**63) <= number < 2**63 else text
            case "float" | "double":
                value = float(text)
                return value if math.isfinite(value) else text
            case _:
                return bare(text)
    except (KeyError, ValueError):
        return text
