"""Notes that an export wrote give the same graph back, whatever it held."""

from dataclasses import replace

from hypothesis import given

from crdt.ids import NodeKey, edge_id
from crdt.records import Edge, Node
from daemon.interchange.markdown import reader, writer
from daemon.interchange.records import ExportedNode
from daemon.interchange.tar import ArchivedFile
from tests.support.exported_graphs import MemoryGraph, content_of, graphs, imported


def _node(key: str, body: str | None = None) -> ExportedNode:
    return ExportedNode(Node(NodeKey(key), key, "t", {}, "default", 1, 2, 1), {}, body)


def _edge(source: str, target: str, kind: str = "link") -> Edge:
    start, end = NodeKey(source), NodeKey(target)
    return Edge(edge_id(start, kind, end), start, end, kind, 0.5, {}, 3, 1)


@given(graphs())
def test_an_import_of_an_export_is_the_same_graph(graph: MemoryGraph) -> None:
    """Nodes, times, metadata, bodies and edges come back exactly; energy does not."""
    expected = content_of(graph)

    actual = imported(reader.read(writer.write(graph)))

    assert actual.failures == []
    assert expected.nodes == actual.nodes
    assert expected.edges == actual.edges
    assert expected.bodies == actual.bodies


@given(graphs())
def test_exported_paths_are_safe_and_differ_in_any_case(graph: MemoryGraph) -> None:
    """No two notes meet on a file system that ignores case; none is hidden."""
    paths = [note.path for note in writer.notes(graph)]

    assert len(paths) == len({path.casefold() for path in paths})
    for part in (part for path in paths for part in path.split("/")):
        assert part.strip(". ") == part
        assert not set('<>:"\\|?*') & set(part)
        assert len(part.encode()) <= 143


def test_a_node_with_very_many_edges_takes_several_notes() -> None:
    """What is held at once stays bounded, and no edge is lost."""
    names = [f"n{number}" for number in range(2500)]
    graph = MemoryGraph([_node(name) for name in names], [])
    graph.all_edges.extend(_edge("n0", name) for name in names)

    notes = list(writer.notes(replace(graph, exported=graph.exported[:1])))

    assert [n.path for n in notes] == ["n0.md", "n0~edges-2.md", "n0~edges-3.md"]
    assert content_of(graph).edges == imported(reader.read(writer.write(graph))).edges


def test_links_of_an_unchanged_body_are_not_taken_twice() -> None:
    """What the graph did not have as an edge does not become one on the way."""
    graph = MemoryGraph([_node("a", "[[b]] [[nowhere]] #tag"), _node("b")])

    assert content_of(graph).edges == imported(reader.read(writer.write(graph))).edges
    assert {"a", "b"} == imported(reader.read(writer.write(graph))).nodes.keys()


def test_links_added_to_an_exported_note_count() -> None:
    """A person who edits an exported note adds links; the edges it had all stay."""
    nodes = [_node("a", "[[c]] [[c]]"), _node("b"), _node("c")]
    graph = MemoryGraph(nodes, [_edge("a", "b", "child"), _edge("a", "c")])
    first, *others = writer.notes(graph)
    edited = ArchivedFile(first.path, first.content + b" [[b]] [[new]] #tag")

    edges = imported(reader.commands([edited, *others])).edges

    assert edges == {
        ("a", "child", "b"): (0.5, {}, 3),
        ("a", "link", "c"): (0.5, {}, 3),
        ("a", "link", "b"): (1.0, {}, 0),
        ("a", "link", "new"): (1.0, {}, 0),
        ("a", "tagged", "tag:tag"): (1.0, {}, 0),
    }


def test_an_exported_note_is_a_page_a_person_can_read() -> None:
    """The front matter as documented: metadata in the open, the rest in one field."""
    node = Node(NodeKey("a/b"), "A b", "note", {"tags": ["x"]}, "default", 0, 1, 1)
    graph = MemoryGraph([ExportedNode(node, {}, "Hello\n")], [_edge("a/b", "a/b")])

    (note,) = writer.notes(graph)

    assert note.path == "a/b.md"
    assert (
        note.content.decode()
        == """\
---
tags:
- x
fractality:
  key: a/b
  label: A b
  type: note
  network: default
  created_at: '1970-01-01T00:00:00.000Z'
  updated_at: '1970-01-01T00:00:00.001Z'
  body: sha256-66a045b452102c59
  edges:
  - to: a/b
    type: link
    weight: 0.5
    created_at: '1970-01-01T00:00:00.003Z'
---
Hello
"""
    )
