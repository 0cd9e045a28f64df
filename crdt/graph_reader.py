"""What can be asked of a graph: reading side.

A reader has a connection of its own and sees only what is committed. Give each thread
its own; a thread that must not wait (an event loop) keeps to the reads by key.
"""

import heapq
from collections.abc import Iterator
from typing import Any, Final, Self

import apsw
import msgspec

from crdt import traversal
from crdt.bodies import load_body, missing_of_body
from crdt.database import Database, store_errors
from crdt.devices import OWN_DEVICE
from crdt.errors import NotFoundError
from crdt.graph_index import TRASHED, VISIBLE, GraphIndex
from crdt.history import read_history
from crdt.ids import KEY_END, DeviceId, EdgeId
from crdt.nearness import Near, Walk, energetic
from crdt.network_rows import Network, check_network, members, read_days, read_networks
from crdt.node_changes import last_change
from crdt.patterns import BEFORE, History, Pattern, patterns
from crdt.read_model import NODE_COLUMNS, read_edge, read_node, read_weight, to_node
from crdt.records import DEFAULT_NETWORK, DEFAULT_NODE_TYPE, Edge, Node
from crdt.stream_points import Bucket, Point, means
from crdt.streams import known_since, pulse_times
from crdt.text_query import highlight, words
from crdt.text_search import matching

_BY_KEY: Final = f"SELECT {NODE_COLUMNS} FROM node WHERE key = ? AND state = 1"


class Hit(msgspec.Struct, frozen=True):
    """One result of a search."""

    node: Node
    score: float
    """How well the words fit, above 0 and at most 1."""
    highlight: str | None
    """HTML excerpt with the words found in `mark` elements."""


class Moving(msgspec.Struct, frozen=True):
    """A node whose history is not chance, and how it is linked now."""

    node: Node
    pattern: Pattern
    links: int


class GraphReader:
    """Reads of one graph, each at one committed state."""

    def __init__(self, database: Database, index: GraphIndex) -> None:
        """Open a reader of an open database."""
        self._connection = database.reader()
        self._home = database.home
        self._index = index

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def node(self, key: str) -> Node:
        """Return a visible node, or raise `NotFoundError`."""
        try:
            row = self._connection.execute(_BY_KEY, (key,)).fetchone()
        except UnicodeEncodeError:
            row = None
        except apsw.Error:
            with store_errors():  # not around it: that would be a tenth of the read
                raise
        if row is None:
            message = f"There is no node '{key}'."
            raise NotFoundError(message)
        return to_node(row)

    def last_change(self, key: str) -> tuple[DeviceId | None, int] | None:
        """Return (device, sequence) of the envelope of a node's last change.

        The device is None for this one, the sequence 0 while it is not sealed. None if
        no change is noted: then every device that reads has it.
        """
        with store_errors():
            change = last_change(self._connection, self._index.keys.number(key))
            if change is None or change[0] == OWN_DEVICE:
                return None if change is None else (None, change[1])
            row: Any = self._connection.execute(
                "SELECT device_id FROM device WHERE id = ?", (change[0],)
            ).fetchone()
        return DeviceId(row[0]), change[1]

    def atp(self, key: str, now_ms: int) -> float:
        """Return the energy of a node; that of an unknown one is 0."""
        return self._index.atp(self._index.keys.number(key), now_ms)

    def nodes(
        self,
        *,
        limit: int,
        after: str = "",
        prefix: str = "",
        node_type: str | None = None,
        network: str | None = None,
        updated_since_ms: int | None = None,
        in_trash: bool = False,
    ) -> list[Node]:
        """Return nodes in key order, those behind `after`."""
        # What node_by_type and node_by_network leave out stands in the statement
        # itself, where the planner can see it.
        state = TRASHED if in_trash else VISIBLE
        conditions = ["key > ?", "key >= ?", "key < ?", f"state = {state}"]
        values: list[Any] = [after, prefix, prefix + KEY_END]
        if node_type is not None:
            conditions.append("type = ?")
            values.append(node_type)
            if node_type != DEFAULT_NODE_TYPE:
                conditions.append(f"type != '{DEFAULT_NODE_TYPE}'")
        if network is not None:
            conditions.append("network = ?")
            values.append(network)
            if network != DEFAULT_NETWORK:
                conditions.append(f"network != '{DEFAULT_NETWORK}'")
        if updated_since_ms is not None:
            conditions.append("updated_ms >= ?")
            values.append(updated_since_ms)
        with store_errors():
            rows = self._connection.execute(
                f"SELECT {NODE_COLUMNS} FROM node WHERE {' AND '.join(conditions)}"
                " ORDER BY key LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [to_node(row) for row in rows]

    def edge(self, identity: EdgeId) -> Edge:
        """Return an edge that shows, or raise `NotFoundError`."""
        number = self._index.edge_number(identity)
        if number and self._matches(number, (None, None), None):
            with store_errors():
                edge = read_edge(self._connection, self._index, number)
            if edge is not None:
                return edge
        message = f"There is no edge '{identity}'."
        raise NotFoundError(message)

    def edges(
        self,
        *,
        limit: int,
        after: int = 0,
        source: str | None = None,
        target: str | None = None,
        edge_type: str | None = None,
    ) -> list[tuple[int, Edge]]:
        """Return (number, edge) of edges that show, by number, those after `after`."""
        index = self._index
        wanted = None if edge_type is None else index.edge_type_number(edge_type)
        if edge_type is not None and wanted is None:
            return []
        ends = tuple(
            None if key is None else index.keys.number(key) for key in (source, target)
        )
        found: list[tuple[int, Edge]] = []
        for number in self._edge_numbers(ends, after):
            if len(found) == limit:
                break
            if self._matches(number, ends, wanted):
                with store_errors():
                    edge = read_edge(self._connection, index, number)
                if edge is not None:
                    found.append((number, edge))
        return found

    def neighbours(
        self,
        key: str,
        *,
        limit: int,
        depth: int = 1,
        direction: traversal.Direction = "both",
        edge_type: str | None = None,
        network: str | None = None,
    ) -> list[tuple[Node, int]]:
        """Return (node, distance), nearest first, or raise `NotFoundError`."""
        walk = traversal.nearby(
            self._index,
            self._visible(key),
            depth=depth,
            direction=direction,
            edge_type=edge_type,
            may_show=None if network is None else members(self._connection, network),
        )
        found: list[tuple[Node, int]] = []
        for number, distance in walk:
            if len(found) == limit:
                break
            found += [(node, distance) for node in self._present([number])]
        return found

    def energetic(
        self, key: str, walk: Walk, *, network: str | None, limit: int, now_ms: int
    ) -> tuple[list[tuple[Node, Near]], bool]:
        """Return the nodes that count most near a node, and whether that is all.

        Raises `NotFoundError`.
        """
        start = self._visible(key)
        with store_errors():
            found, is_complete = energetic(
                self._index,
                start,
                walk,
                weight=lambda edge: read_weight(self._connection, edge),
                may_show=members(self._connection, network),
                now_ms=now_ms,
                limit=limit,
            )
        return [
            (node, near) for near in found for node in self._present([near.node])
        ], is_complete

    def networks(self, now_ms: int) -> list[Network]:
        """Return the default network, then all others that there are."""
        with store_errors():
            return read_networks(self._connection, self._index, now_ms)

    def network_days(
        self, network: str, since_ms: int, until_ms: int, limit: int
    ) -> list[Point]:
        """Return the history of a network by days, or raise `NotFoundError`."""
        with store_errors():
            check_network(self._connection, self._index, network)
            sums = read_days(self._connection, network, since_ms, until_ms, limit)
        return means(sums)

    def path(
        self,
        start: str,
        goal: str,
        now_ms: int,
        max_cost: float | None,
        network: str | None = None,
    ) -> tuple[list[Node], float] | None:
        """Return (nodes from start to goal, cost), or None if there is no way.

        Raises `NotFoundError` for an absent end, `SearchBudgetError` when stopped.
        """
        found = traversal.cheapest_path(
            self._index,
            self._visible(start),
            self._visible(goal),
            now_ms,
            max_cost=max_cost,
            may_show=None if network is None else members(self._connection, network),
        )
        return None if found is None else (self._present(found[0]), found[1])

    def search(
        self,
        query: str,
        *,
        limit: int,
        now_ms: int,
        node_type: str | None = None,
        network: str | None = None,
        all_words: bool = False,
    ) -> list[Hit]:
        """Return nodes whose label or body has the words of `query`, best first.

        With `all_words` those that lack one are left out. Of nodes that fit equally
        well, the more alive come first.
        """
        wanted = words(query)
        if not wanted:
            return []
        with store_errors():
            found = matching(
                self._connection,
                wanted,
                limit,
                node_type,
                network,
                all_words=all_words,
            )
        best = heapq.nsmallest(
            limit,
            found.items(),
            key=lambda item: (-item[1], -self._index.atp(item[0], now_ms), -item[0]),
        )
        return [
            Hit(node, score, self._excerpt(number, node, wanted))
            for number, score in best
            for node in self._present([number])
        ]

    def body(self, key: str) -> str:
        """Return the long text of a visible node, empty if it has none."""
        number = self._visible(key)
        with store_errors():
            return load_body(self._connection, number, 1).text()

    def missing_of_body(self, key: str, state_vector: bytes) -> tuple[bytes, bytes]:
        """Return what of a visible node's body a Yjs document lacks, and its state.

        Raises `NotFoundError`, or `MalformedError` for what is no state vector.
        """
        number = self._visible(key)
        with store_errors():
            return missing_of_body(self._connection, number, state_vector)

    def stream(
        self, key: str, *, since_ms: int, until_ms: int, bucket: Bucket, limit: int
    ) -> list[Point]:
        """Return the history of a visible node, oldest first."""
        number = self._visible(key)
        with store_errors():
            return read_history(
                self._connection,
                self._home,
                number,
                since_ms,
                until_ms,
                bucket=bucket,
                limit=limit,
            )

    def patterns(self, window_ms: int, now_ms: int) -> tuple[list[Moving], int]:
        """Return the nodes that rise, fall or burst, and how much was looked at."""
        with store_errors():
            since = known_since(self._connection)
            if since is None:
                return [], 0
            start = now_ms - (BEFORE + 1) * window_ms
            histories = [
                History(number, times, max(since, node.created_ms))
                for number, times in pulse_times(self._connection, start, now_ms)
                for node in self._present([number])
            ]
        found, asked = patterns(histories, window_ms, now_ms)
        moving = [
            Moving(
                node,
                pattern,
                sum(1 for _ in self._index.links(pattern.node)),
            )
            for pattern in found
            for node in self._present([pattern.node])
        ]
        return moving, asked

    def _excerpt(self, number: int, node: Node, wanted: list[str]) -> str | None:
        found = highlight(node.label, wanted)
        if found is None and node.has_body:
            text = load_body(self._connection, number, 1).text()
            found = highlight(text, wanted)
        return found

    def _visible(self, key: str) -> int:
        number = self._index.keys.number(key)
        if self._index.states[number] != VISIBLE:
            message = f"There is no node '{key}'."
            raise NotFoundError(message)
        return number

    def _present(self, numbers: list[int]) -> list[Node]:
        with store_errors():
            nodes = [read_node(self._connection, number) for number in numbers]
        return [node for node in nodes if node is not None and node.deleted_ms is None]

    def _edge_numbers(self, ends: tuple[int | None, ...], after: int) -> Iterator[int]:
        source, target = ends
        edges = self._index.edges
        if source is not None:
            yield from (n for n in edges.outgoing(source) if n > after)
        elif target is not None:
            yield from (n for n in edges.incoming(target) if n > after)
        else:
            yield from range(after + 1, len(edges) + 1)

    def _matches(
        self, number: int, ends: tuple[int | None, ...], wanted: int | None
    ) -> bool:
        edges, states = self._index.edges, self._index.states
        source, target = edges.sources[number], edges.targets[number]
        return (
            edges.states[number] == 1
            and states[source] == VISIBLE
            and states[target] == VISIBLE
            and ends[0] in (None, source)
            and ends[1] in (None, target)
            and wanted in (None, edges.types[number])
        )
