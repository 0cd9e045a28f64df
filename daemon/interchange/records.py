"""What an export is given, and what an import turns its input into."""

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import msgspec

from crdt.commands import ImportEdge, ImportNode, PutBody, PutEdge, PutNode
from crdt.ids import NodeKey
from crdt.records import Edge, Node


class ExportedNode(msgspec.Struct, frozen=True):
    """A node with all that an export may carry of it."""

    node: Node
    accumulators: dict[str, float] = {}
    """Landmark energy by device id (text form)."""
    body: str | None = None


class ExportedGraph(Protocol):
    """One unchanging view of a graph, without its trash. Each call starts anew."""

    def nodes(self, *, with_bodies: bool) -> Iterator[ExportedNode]:
        """Yield every node; without bodies `body` is None throughout."""
        ...

    def edges(self) -> Iterator[Edge]:
        """Yield every edge."""
        ...

    def edges_from(self, key: NodeKey) -> Iterator[Edge]:
        """Yield the edges whose source is `key`."""
        ...


class IfAbsent(msgspec.Struct, frozen=True):
    """A node that others point at: made only if the graph shows none of that key."""

    node: PutNode


class Failure(msgspec.Struct, frozen=True):
    """A part of the input that was passed over, for the person to see."""

    place: str
    """Which note, member or line."""
    detail: str


Imported: TypeAlias = (
    ImportNode | PutNode | PutBody | IfAbsent | ImportEdge | PutEdge | Failure
)
"""An import yields a node before the first edge that needs it."""
