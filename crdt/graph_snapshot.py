"""One unchanging view of a whole graph, for exports that take their time."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

from crdt.bodies import load_body
from crdt.database import Database, store_errors
from crdt.devices import OWN_DEVICE, device_ids
from crdt.graph_index import GraphIndex
from crdt.ids import DeviceId, NodeKey
from crdt.read_model import EDGE_COLUMNS, NODE_COLUMNS, to_edge, to_node
from crdt.records import Edge, Node

Accumulators: TypeAlias = dict[tuple[DeviceId, int], float]
"""Landmark by device and half-life."""
_EDGES: Final = (
    f"SELECT {EDGE_COLUMNS} FROM (SELECT edge.* FROM edge"
    " JOIN node AS s ON s.id = edge.source AND s.state = 1"
    " JOIN node AS t ON t.id = edge.target AND t.state = 1"
    " WHERE edge.state = 1 {})"
)


class GraphSnapshot:
    """The visible graph as it was when the snapshot was entered."""

    def __init__(self, database: Database, index: GraphIndex, own: DeviceId) -> None:
        """Open nothing yet; `own` is this device."""
        self._database = database
        self._index = index
        self._own = own

    def __enter__(self) -> Self:
        """Take the view; writes that follow are not in it."""
        self._connection = self._database.reader()
        with store_errors():
            self._connection.execute("BEGIN")
            self._devices = {
                **device_ids(self._connection),
                OWN_DEVICE: self._own,
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the view."""
        self._connection.close()

    def nodes(self) -> Iterator[tuple[Node, Accumulators]]:
        """Yield every visible node in key order, with its accumulators."""
        with store_errors():
            for number, *columns in self._connection.execute(
                f"SELECT id, {NODE_COLUMNS} FROM node WHERE state = 1 ORDER BY key"
            ):
                yield to_node(columns), self._landmarks(cast("int", number))

    def body(self, key: NodeKey) -> str:
        """Return the long text of a node."""
        with store_errors():
            number = self._index.keys.number(key)
            return load_body(self._connection, number, 1).text()

    def edges(self) -> Iterator[Edge]:
        """Yield every edge that shows, in the order in which it came here."""
        with store_errors():
            for row in self._connection.execute(_EDGES.format("ORDER BY edge.id")):
                yield to_edge(row, self._index)

    def edges_from(self, key: NodeKey) -> Iterator[Edge]:
        """Yield the edges that start at a node."""
        numbers = self._index.edges.outgoing(self._index.keys.number(key))
        with store_errors():
            for number in numbers:
                row: tuple[Any, ...]
                for row in self._connection.execute(
                    _EDGES.format("AND edge.id = ?"), (number,)
                ):
                    yield to_edge(row, self._index)

    def _landmarks(self, number: int) -> Accumulators:
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT device, half_life, landmark FROM energy WHERE node = ?", (number,)
        ).fetchall()
        return {
            (self._devices[device], half_life): landmark
            for device, half_life, landmark in rows
        }
