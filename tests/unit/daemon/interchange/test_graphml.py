"""GraphML keeps nodes, edges and metadata, and reads what other programs write."""

from collections.abc import Iterator
from itertools import chain
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.commands import ImportNode, PutEdge, PutNode
from crdt.errors import InvalidError
from crdt.ids import NodeKey
from crdt.records import Edge, Metadata, Node
from daemon.interchange import graphml, graphml_reader
from daemon.interchange.records import ExportedNode, Failure
from tests.support.exported_graphs import MemoryGraph, content_of, graphs, imported

NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"


@given(graphs())
def test_an_import_of_an_export_is_the_same_graph(graph: MemoryGraph) -> None:
    """Nodes, edges and metadata come back exactly; bodies and energy stay behind."""
    expected = content_of(graph)

    actual = imported(graphml_reader.read(graphml.write(graph)))

    assert expected.nodes == actual.nodes
    assert expected.edges == actual.edges
    assert actual.bodies == {}


@given(graphs())
def test_every_value_has_a_declared_key(graph: MemoryGraph) -> None:
    """The document is well-formed and uses no key that it does not declare."""
    root = ElementTree.fromstring(b"".join(graphml.write(graph)))  # own

    declared = {key.get("id") for key in root.iter(NAMESPACE + "key")}
    assert {data.get("key") for data in root.iter(NAMESPACE + "data")} <= declared


@pytest.mark.parametrize("text", ["\r\n\t ", "\x00", "\ufffe", "]]>&'\"", 'json:"a"'])
def test_awkward_text_comes_back(text: str) -> None:
    """As a name and as a value, whatever XML makes of white space and marks."""
    metadata: Metadata = {f"name {text.strip()}": text}
    graph = _Changing([metadata, metadata])

    (node,) = graphml_reader.read(graphml.write(graph))

    assert isinstance(node, ImportNode)
    assert metadata == node.metadata


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_can_stand_in_xml(text: str) -> None:
    """What XML cannot hold is written so that it can, and reads back."""
    held = graphml.armoured(text)

    assert text == graphml.bare(held)
    assert not {"\x00", "\x1f", "\ufffe", "\uffff"} & set(held)


class _Changing:
    """A graph whose only node is edited between one look and the next."""

    def __init__(self, looks: list[Metadata]) -> None:
        self._looks = iter(looks)

    def nodes(self, *, with_bodies: bool) -> Iterator[ExportedNode]:
        assert not with_bodies
        key = NodeKey("a")
        yield ExportedNode(Node(key, "A", "t", next(self._looks), "default", 1, 2, 1))

    def edges(self) -> Iterator[Edge]:
        yield from ()

    def edges_from(self, key: NodeKey) -> Iterator[Edge]:
        raise AssertionError(key)


def test_metadata_that_changes_meanwhile_is_kept() -> None:
    """A name or kind that was not there when keys were declared goes elsewhere."""
    latest: Metadata = {"same": 1, "retyped": "two", "new": 3.0}
    graph = _Changing([{"same": 1, "retyped": 2}, latest])

    (node,) = graphml_reader.read(graphml.write(graph))

    assert isinstance(node, ImportNode)
    assert latest == node.metadata


FOREIGN = b"""<?xml version="1.0"?>
<graphml>
  <key id="d0" for="node" attr.name="colour" attr.type="string">
    <default>blue</default></key>
  <key id="d1" for="node" attr.name="size" attr.type="int"/>
  <key id="d2" for="edge" attr.name="weight" attr.type="double"/>
  <key id="d3" for="all" attr.name="ok" attr.type="boolean"/>
  <graph edgedefault="undirected">
    <edge source="a" target="b"><data key="d2">2.5</data></edge>
    <node id="a"><data key="d1">7</data><data key="d3">true</data>
      <graph edgedefault="directed"><node id="inner"/></graph></node>
    <node id="b"><data key="d0">red</data><data key="d1">many</data></node>
    <edge source="b" target="a" directed="true"><data key="d2">NaN</data></edge>
    <hyperedge><endpoint node="a"/></hyperedge>
  </graph>
</graphml>"""


def test_foreign_attributes_become_metadata() -> None:
    """Types, defaults, nesting and direction of another program's file."""
    assert [
        PutNode(key="inner", label="inner", metadata={"colour": "blue"}),
        PutNode(key="a", label="a", metadata={"colour": "blue", "size": 7, "ok": True}),
        PutNode(key="b", label="b", metadata={"colour": "red", "size": "many"}),
        Failure("line 14", "a hyperedge was passed over: edges here have two ends"),
        PutEdge(source="a", target="b", weight=2.5, metadata={"directed": False}),
        PutEdge(source="b", target="a", metadata={"weight": "NaN"}),
    ] == list(graphml_reader.read([FOREIGN]))


def test_a_label_that_yed_only_draws_is_the_label() -> None:
    """What yEd shows as a node's name is its label; how it is drawn is dropped."""
    drawn = b"""<graphml xmlns:y="http://www.yworks.com/xml/graphml">
    <key for="node" id="d6" yfiles.type="nodegraphics"/><graph edgedefault="directed">
    <node id="n0"><data key="d6"><y:ShapeNode><y:Fill color="#FFCC00"/>
    <y:NodeLabel>Tea\n<y:LabelModel/></y:NodeLabel></y:ShapeNode></data></node>
    </graph></graphml>"""

    assert [PutNode(key="n0", label="Tea")] == list(graphml_reader.read([drawn]))


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        (b"<graphml><graph><node/></graph></graphml>", "line 1: the node has no 'id'"),
        (b"<graphml>\n<graph>\n<node", "line 3: this is not well-formed"),
        (b"<html/>", "not GraphML"),
        (b"", "not well-formed"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><graphml/>', "DOCTYPE"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><graphml/>', "DOCTYPE"),
        (b"<graphml>&outside;</graphml>", "undefined entity"),
        (b"<graphml>" + b"<a>" * 100, "nested deeper than 64"),
        (b"<graphml>" + b"<key/>" * 3 + b"<graph><node id='a'>\x01", "line 1"),
    ],
)
def test_faults_and_traps_are_refused(document: bytes, detail: str) -> None:
    """Broken, foreign and hostile documents name their line and yield nothing."""
    with pytest.raises(InvalidError, match=detail):
        list(graphml_reader.read([document]))


@pytest.mark.parametrize(
    ("start", "detail"),
    [
        (b"<graphml><graph><node id='", "one tag is longer"),
        (b"<graphml><key id='x'><default>", "holds more than"),
        (b"<graphml><graph><node id='a'><data key='x'>", "holds more than"),
    ],
)
def test_what_never_ends_is_refused_in_time(start: bytes, detail: str) -> None:
    """An endless tag or text is refused while it comes."""
    endless = iter([b"x" * 1024 * 1024] * 100)

    with pytest.raises(InvalidError, match=detail):
        list(graphml_reader.read(chain([start], endless)))

    assert next(endless, None) is not None
