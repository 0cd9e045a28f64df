"""Reading the consensus nodes that the graph keeps, and what is linked with them."""

from collections.abc import Iterable
from typing import Final

from crdt.errors import NotFoundError
from crdt.graph_reader import GraphReader
from crdt.ids import CircleId, NodeKey
from crdt.records import Node
from daemon.circles.following import EDGE_TYPE, NODE_TYPE, kept
from daemon.circles.placement import Placed

MOST_KEPT: Final = 10_000
"""Kept consensus nodes that are followed, and links to one of them that are read."""


def kept_nodes(reader: GraphReader) -> list[Node]:
    """Return what the graph keeps, of all circles."""
    return reader.nodes(limit=MOST_KEPT, node_type=NODE_TYPE)


def links(reader: GraphReader, circle: CircleId) -> list[Placed]:
    """Return the kept nodes of a circle and the nodes with an edge to them."""
    found = []
    for node in kept_nodes(reader):
        what = kept(node)
        if what is not None and what.circle == circle:
            found.append(Placed(node.key, what.consensus, is_kept=True))
            edges = reader.edges(limit=MOST_KEPT, target=node.key, edge_type=EDGE_TYPE)
            found += [Placed(edge.source, what.consensus) for _, edge in edges]
    return found


def present(reader: GraphReader, keys: Iterable[NodeKey]) -> list[NodeKey]:
    """Return those of some nodes that are not in the trash."""
    found = []
    for key in keys:
        try:
            found.append(reader.node(key).key)
        except NotFoundError:
            continue
    return found


def circle_of(node: Node) -> CircleId | None:
    """Return the circle of a node that is kept, None if it is another node."""
    what = kept(node)
    return None if what is None else what.circle
