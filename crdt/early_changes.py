"""Changes that came before what they change: several devices send, each its own order.

What a person then creates here shows as they made it, over the changes that were held
of it already. Rule: a row is always what the entries of its shard say.
"""

from collections.abc import Mapping

import apsw
import msgspec

from crdt.ids import EdgeId
from crdt.records import Edge, Node
from crdt.schema import (
    Entries,
    edge_changes,
    fold_edge,
    fold_node,
    next_version,
    node_changes,
)


class EarlyEdges:
    """Edges of which a change is held, but not the edge itself.

    A node of that kind has a row, as a ghost; an edge has none without its two ends.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        """Read nothing yet."""
        self._connection = connection
        self._known: set[str] | None = None

    def __contains__(self, identity: EdgeId) -> bool:
        """Whether an edge is one of them."""
        if self._known is None:
            rows = self._connection.execute("SELECT id FROM early_edge")
            self._known = {str(known) for (known,) in rows}
        return identity in self._known

    def add(self, identity: EdgeId) -> None:
        """Take note of a change, in the caller's transaction."""
        if identity not in self and self._known is not None:
            self._known.add(identity)
            self._connection.execute(
                "INSERT INTO early_edge (id) VALUES (?)", (identity,)
            )

    def discard(self, identity: EdgeId) -> None:
        """Take note that the edge itself is there, in the caller's transaction."""
        if identity in self and self._known is not None:
            self._known.remove(identity)
            self._connection.execute("DELETE FROM early_edge WHERE id = ?", (identity,))


def node_over_early(
    node: Node, held: Entries, entries: Entries
) -> tuple[Node, Entries]:
    """Return a new node, and the entries that make it show over changes held of it."""
    before = fold_node(node.key, held | entries) or node
    wanted = msgspec.structs.replace(
        node,
        created_ms=before.created_ms,
        updated_ms=max(node.updated_ms, before.updated_ms),
        version=next_version(before.version),
    )
    entries = entries | node_changes(before, wanted)
    return fold_node(node.key, held | entries) or node, entries


def edge_over_early(
    edge: Edge, held: Entries, entries: Entries, now_ms: int
) -> tuple[Edge, Entries]:
    """Return a new edge, and the entries that make it show over changes held of it."""
    place = edge.source, edge.id
    before = fold_edge(*place, held | entries) or edge
    wanted = msgspec.structs.replace(edge, version=next_version(before.version))
    entries = entries | edge_changes(before, wanted, now_ms)
    return fold_edge(*place, held | entries) or edge, entries


def under_prefix(values: Mapping[str, str], prefix: str) -> Entries:
    """Return entries by what follows `prefix` in their keys."""
    return {
        key.removeprefix(prefix): value
        for key, value in values.items()
        if key.startswith(prefix)
    }
