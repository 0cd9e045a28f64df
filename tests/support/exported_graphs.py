"""Graphs to export, and what an import makes of them, without a store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import strategies as st

from crdt.commands import ImportEdge, ImportNode, PutBody, PutEdge, PutNode
from crdt.ids import MAX_KEY_BYTES, NodeKey, edge_id, has_control_characters
from crdt.records import Edge, Node
from crdt.schema import MAX_TIME_MS
from daemon.interchange.records import ExportedNode, Failure, IfAbsent, Imported

NodeFields: TypeAlias = tuple[str, str, dict[str, Any], str, int, int]
"""label, type, metadata, network, created_ms, updated_ms (0 where made now)"""
EdgeFields: TypeAlias = tuple[float, dict[str, Any], int]
"""weight, metadata, created_ms"""


@dataclass(frozen=True)
class MemoryGraph:
    """A graph that a format can export."""

    exported: list[ExportedNode] = field(default_factory=list)
    all_edges: list[Edge] = field(default_factory=list)

    def nodes(self, *, with_bodies: bool) -> Iterator[ExportedNode]:
        for exported in self.exported:
            body = exported.body if with_bodies else None
            yield ExportedNode(exported.node, exported.accumulators, body)

    def edges(self) -> Iterator[Edge]:
        yield from self.all_edges

    def edges_from(self, key: NodeKey) -> Iterator[Edge]:
        return (edge for edge in self.all_edges if edge.source == key)


@dataclass
class Content:
    """What a graph shows, to compare."""

    nodes: dict[str, NodeFields] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], EdgeFields] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    accumulators: dict[str, dict[str, float]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def content_of(graph: MemoryGraph) -> Content:
    """Return what an import of `graph` should show."""
    content = Content()
    for exported in graph.exported:
        node = exported.node
        content.nodes[node.key] = _node_fields(node)
        content.accumulators[node.key] = exported.accumulators
        content.versions[node.key] = node.version
        if exported.body:
            content.bodies[node.key] = exported.body
    for edge in graph.all_edges:
        name = (edge.source, edge.type, edge.target)
        content.edges[name] = (edge.weight, edge.metadata, edge.created_ms)
    return content


def graph_of(content: Content) -> MemoryGraph:
    """Return a graph that shows `content`."""
    graph = MemoryGraph()
    for name, fields in content.nodes.items():
        node = Node(NodeKey(name), *fields, 1)
        graph.exported.append(ExportedNode(node, {}, content.bodies.get(name)))
    for (start, kind, end), (weight, metadata, created_ms) in content.edges.items():
        source, target = NodeKey(start), NodeKey(end)
        identity = edge_id(source, kind, target)
        edge = Edge(identity, source, target, kind, weight, metadata, created_ms, 1)
        graph.all_edges.append(edge)
    return graph


def imported(items: Iterable[Imported]) -> Content:
    """Apply `items` in order; an edge whose nodes did not come before fails."""
    content = Content()
    for item in items:
        _apply(content, item)
    return content


def _apply(content: Content, item: Imported) -> None:
    match item:
        case Failure():
            content.failures.append(item)
        case PutBody(key=key, text=text):
            assert key in content.nodes
            content.bodies[key] = text
        case IfAbsent(node=node):
            content.nodes.setdefault(node.key, _made_now(node))
        case PutNode():
            content.nodes[item.key] = _made_now(item)
        case ImportNode():
            content.nodes[item.key] = _node_fields(item)
            content.accumulators[item.key] = item.accumulators
            content.versions[item.key] = item.version
        case PutEdge() | ImportEdge():
            assert item.source in content.nodes
            assert item.target in content.nodes
            created_ms = item.created_ms if isinstance(item, ImportEdge) else 0
            name = (item.source, item.type, item.target)
            content.edges[name] = (item.weight, item.metadata, created_ms)


def _node_fields(node: Node | ImportNode) -> NodeFields:
    times = (node.created_ms, node.updated_ms)
    return (node.label, node.type, node.metadata, node.network, *times)


def _made_now(node: PutNode) -> NodeFields:
    return (node.label, node.type, node.metadata, node.network, 0, 0)


def _fits(text: str) -> bool:
    return not has_control_characters(text) and len(text.encode()) <= MAX_KEY_BYTES


_NASTY_KEYS = (
    *("a/b", "a/b/c", "A/B", "/a", "a/", "a//b", ".", "..", "../a", "./a", ".hidden"),
    *("CON", "con.txt", "nul", "LPT1", "a.", "a ", " a", "a.md", "a.md/b", "a?b:c*"),
    *("tag:x", "\u00e9", "e\u0301", "😀", "---", "#a", "[[a]]", "\ufffe", "%2F", "~"),
    *("x" * 255, "é" * 127, "a\\b", "'\"&<>", 'json:"a"', "\ufeff", "1e5", "null"),
)
_printable = st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"))
_texts = st.text(st.characters(codec="utf-8"), max_size=12)
_names = st.sampled_from(
    ("type", "tags", "title", "fractality", "m.x", "<<", "1", "é", "=", "label")
) | st.text(_printable, max_size=8)
_typical = st.sampled_from(
    ("1e16", "0x1F", "2020-01-01", "yes", "~", ".nan", "- a", "a: b", "-0", "\r\n", "")
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts
    | _typical
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3)
    ),
    max_leaves=6,
)
metadatas = st.dictionaries(_names, _values, max_size=4)
keys = st.sampled_from(_NASTY_KEYS) | st.text(
    _printable, min_size=1, max_size=40
).filter(_fits)
_labels = st.text(_printable | st.sampled_from(("\n", "\t")), max_size=20)
_fragments = st.sampled_from(
    ("---\n", "\r\n", "[[a]]", "[[A/B|c]]", "#tag ", "```\n", "`", "# H\n", "[x](a.md)")
)
_bodies = st.lists(_fragments | _texts, max_size=6).map("".join)
_types = st.sampled_from(("thought", "note", "link", "tagged", "child", "a:b é"))
_times = st.integers(0, MAX_TIME_MS)
_weights = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def _exported_nodes(draw: st.DrawFn, key: str) -> ExportedNode:
    node = Node(
        key=NodeKey(key),
        label=draw(_labels),
        type=draw(_types),
        metadata=draw(metadatas),
        network=draw(st.sampled_from(("default", "work/é"))),
        created_ms=draw(_times),
        updated_ms=draw(_times),
        version=draw(st.integers(1, 2**53 - 1)),
    )
    energy = draw(st.dictionaries(st.just("a" * 26), st.floats(0, 1e300), max_size=1))
    return ExportedNode(node, energy, draw(st.none() | _bodies))


@st.composite
def graphs(draw: st.DrawFn) -> MemoryGraph:
    """Small graphs with everything that makes a format stumble."""
    names = draw(st.lists(keys, unique=True, max_size=6))
    nodes = [draw(_exported_nodes(name)) for name in names]
    edges: list[Edge] = []
    ends = st.sampled_from(names) if names else st.nothing()
    triples = draw(
        st.lists(st.tuples(ends, _types, ends), unique=True, max_size=6)
        if names
        else st.just([])
    )
    for source, kind, target in triples:
        start, end = NodeKey(source), NodeKey(target)
        edges.append(
            Edge(
                id=edge_id(start, kind, end),
                source=start,
                target=end,
                type=kind,
                weight=draw(_weights),
                metadata=draw(metadatas),
                created_ms=draw(_times),
                version=1,
            )
        )
    return MemoryGraph(nodes, edges)
