"""JSON Lines keeps a graph whole, reads a person's own data and names its faults."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.commands import ImportEdge, ImportNode, PutBody, PutEdge, PutNode
from crdt.errors import InvalidError
from crdt.ids import EdgeId, NodeKey
from crdt.records import Edge, Node
from daemon.interchange import jsonl
from daemon.interchange.records import ExportedNode
from tests.support.exported_graphs import MemoryGraph, content_of, graphs, imported

HEADER = b'{"fractality": "export", "version": 1}\n'


@given(graphs())
def test_an_import_of_an_export_is_the_same_graph(graph: MemoryGraph) -> None:
    """Nodes, times, versions, energy, bodies and edges come back exactly."""
    assert content_of(graph) == imported(jsonl.read(jsonl.write(graph)))


@given(graphs(), st.integers(1, 50))
def test_chunk_borders_mean_nothing(graph: MemoryGraph, size: int) -> None:
    """However the bytes are cut, the same commands come out."""
    data = b"".join(jsonl.write(graph))
    cut = [data[at : at + size] for at in range(0, len(data), size)]

    assert list(jsonl.read([data])) == list(jsonl.read(cut))


def test_edges_wait_for_the_nodes() -> None:
    """Edges come out after every node, wherever their lines stand."""
    lines = b'{"from": "a", "to": "b"}\n{"key": "a"}\n{"key": "b"}'

    assert [
        PutNode(key="a", label="a"),
        PutNode(key="b", label="b"),
        PutEdge(source="a", target="b"),
    ] == list(jsonl.read([lines]))


def test_a_line_of_an_export_keeps_its_history() -> None:
    """The fields of a node and an edge line, as documented."""
    lines = HEADER + (
        b'{"key":"a","label":"A","type":"note","metadata":{"x":1},"network":"work",'
        b'"created_at":"2026-01-02T03:04:05.678Z","updated_at":"2026-01-02T03:04:06Z",'
        b'"version":7,"accumulators":{"dev":1.5},"body":"text","later":true}\n'
        b'{"from":"a","to":"a","type":"sees","weight":2,"metadata":{},'
        b'"created_at":"1970-01-01T01:00:00.001+01:00"}\n'
    )

    assert [
        ImportNode(
            key="a",
            label="A",
            type="note",
            metadata={"x": 1},
            network="work",
            created_ms=1767323045678,
            updated_ms=1767323046000,
            version=7,
            accumulators={"dev": 1.5},
        ),
        PutBody(key="a", text="text"),
        ImportEdge(source="a", target="a", type="sees", weight=2.0, created_ms=1),
    ] == list(jsonl.read([lines]))


def test_names_of_a_persons_own_file_become_metadata() -> None:
    """Without a header nothing that a line says is dropped."""
    lines = (
        b'\xef\xbb\xbf{"key": "a", "colour": "red", "metadata": {"x": 1}}\r\n\r\n'
        b'{"from": "a", "to": "a", "note": "n"}'
    )

    assert [
        PutNode(key="a", label="a", metadata={"colour": "red", "x": 1}),
        PutEdge(source="a", target="a", metadata={"note": "n"}),
    ] == list(jsonl.read([lines]))


def test_a_text_line_gets_a_key_from_all_it_says() -> None:
    """The same line is the same node; another author's same words are another."""
    said = [{"text": "hi", "by": "x"}, {"by": "x", "text": "hi"}, {"text": "hi"}]
    lines = "\n".join(json.dumps(line) for line in said).encode()

    first, second, third = list(jsonl.read([lines]))

    assert isinstance(first, PutNode)
    assert first == second
    assert first != third
    assert (first.label, first.metadata) == ("hi", {"by": "x"})
    assert first.key.startswith("line-")


def test_a_long_text_keeps_its_whole_in_the_body() -> None:
    """A text that no label can hold is cut there and whole in the body."""
    text = "two\nlines \x07" + "é" * 3000

    node, body = list(jsonl.read([json.dumps({"text": text}).encode()]))

    assert isinstance(node, PutNode)
    assert node.label.startswith("two lines é")
    assert len(node.label.encode()) <= 4096
    assert PutBody(key=node.key, text=text) == body


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b'{"what": 1}', "neither a node"),
        (b"[1]", "must be a JSON object"),
        (b"{", "truncated"),
        (b'{"key": 1}', "Expected `str`"),
        (b'{"key": "a", "created_at": "soon"}', "created_at: must be a time"),
        (b'{"key": "a", "created_at": "1969-12-31T23:59:59Z"}', "from 1970 to"),
        (b'{"key": "a", "created_at": "9999-12-31T23:59:59-01:00"}', "to 9999"),
        (b'{"key": "\xff"}', "utf-8"),
        (b'{"key": "a", "metadata": ' + b"[" * 5000, "nested too deeply"),
        (b'{"fractality": "export", "version": 2}', "newer version"),
        (b'{"fractality": "backup", "version": 1}', "not an export"),
        (b'{"text": 1}', "must be a string"),
    ],
)
def test_a_fault_names_its_line(line: bytes, detail: str) -> None:
    """What cannot be read is refused with the number of its line."""
    with pytest.raises(InvalidError, match=detail) as fault:
        list(jsonl.read([b'\n{"key": "fine"}\n' + line + b"\n"]))

    assert fault.value.field == "line 3"


def test_a_line_of_unknown_kind_in_an_export_is_refused() -> None:
    """An export holds nodes and edges; a text line in it is a mistake."""
    with pytest.raises(InvalidError, match="line 2"):
        list(jsonl.read([HEADER + b'{"text": "x"}']))


def test_an_endless_line_is_refused_while_it_comes() -> None:
    """A line above the limit is refused before its end was seen."""
    endless = (b"x" * 1024 * 1024 for _ in range(33))

    with pytest.raises(InvalidError, match="line 1: it is longer"):
        list(jsonl.read(endless))

    assert next(endless, None) is None


def test_what_an_export_looks_like() -> None:
    """The bytes as documented: they are other programs' to read, and must stay."""
    node = Node(NodeKey("é"), "É\n", "note", {"x": [1]}, "work", 0, 1, 7)
    edge = Edge(EdgeId(""), node.key, node.key, "sees", 0.5, {}, 2, 1)
    graph = MemoryGraph([ExportedNode(node, {"dev": 1.5}, "text")], [edge])

    assert (
        '{"fractality":"export","version":1}\n'
        '{"key":"é","label":"É\\n","type":"note","metadata":{"x":[1]},"network":"work",'
        '"created_at":"1970-01-01T00:00:00.000Z",'
        '"updated_at":"1970-01-01T00:00:00.001Z",'
        '"version":7,"accumulators":{"dev":1.5},"body":"text"}\n'
        '{"from":"é","to":"é","type":"sees","weight":0.5,"metadata":{},'
        '"created_at":"1970-01-01T00:00:00.002Z"}\n'
    ) == b"".join(jsonl.write(graph)).decode()
