"""The rows of the read model that a group changes, held back and then written as one.

Rule: this file decides nothing. What a row becomes is `crdt.staging`'s to say; here it
is kept, written in an order that costs little, and shown to readers after the commit.
"""

from dataclasses import dataclass, field
from typing import Final

import apsw

from crdt.bodies import load_body
from crdt.embeddings import queue
from crdt.energy import Landmarks
from crdt.graph_index import GraphIndex
from crdt.read_model import (
    edge_state,
    empty_nodes,
    insert_edges,
    insert_nodes,
    node_state,
    replace_texts,
    update_edges,
    update_nodes,
)
from crdt.records import Edge, Node

NODE_CHANGE: Final = 0
EDGE_CHANGE: Final = 1
"""Kinds of rows in table index_change."""


@dataclass(slots=True, eq=False)
class StagedRows:
    """What the read model and the index will show, by row number."""

    nodes: dict[int, Node | None] = field(default_factory=dict)
    """Nodes that the group touches; None is a ghost."""
    new_nodes: list[int] = field(default_factory=list)
    changed_nodes: set[int] = field(default_factory=set)
    edges: dict[int, Edge] = field(default_factory=dict)
    new_edges: list[int] = field(default_factory=list)
    changed_edges: set[int] = field(default_factory=set)
    new_types: list[tuple[int, str]] = field(default_factory=list)
    landmarks: dict[int, Landmarks] = field(default_factory=dict)
    half_lives: dict[str, int] = field(default_factory=dict)
    """Of networks whose settings the group may change, in hours."""
    texts: set[int] = field(default_factory=set)
    """Nodes to be indexed anew for text search."""
    bodies: dict[int, str] = field(default_factory=dict)
    """Texts of bodies that the group replaces."""

    def write(
        self, connection: apsw.Connection, index: GraphIndex, client_id: int
    ) -> None:
        """Write all rows, in the caller's transaction."""
        new = set(self.new_nodes)
        insert_nodes(
            connection,
            ((n, index.keys.key(n), self.nodes[n]) for n in self.new_nodes),
        )
        changed = [(n, self.nodes[n]) for n in sorted(self.changed_nodes - new)]
        update_nodes(connection, ((n, node) for n, node in changed if node is not None))
        empty_nodes(connection, (n for n, node in changed if node is None))
        connection.executemany(
            "INSERT INTO edge_type (id, name) VALUES (?, ?)", self.new_types
        )
        insert_edges(connection, index, ((n, self.edges[n]) for n in self.new_edges))
        present = self.changed_edges.difference(self.new_edges)
        update_edges(connection, ((n, self.edges[n]) for n in sorted(present)))
        self._write_texts(connection, client_id, new)
        queue(connection, sorted(self.texts))
        self._log_states(connection, new)

    def show(self, index: GraphIndex) -> None:
        """Let readers of the index see the rows; they are durable now."""
        for number, landmarks in self.landmarks.items():
            index.set_landmarks(number, landmarks)
        for network, half_life in self.half_lives.items():
            index.set_half_life(network, half_life)
        for number in self.changed_nodes:
            index.states[number] = node_state(self.nodes[number])
        for number in self.changed_edges:
            index.edges.states[number] = edge_state(self.edges[number])

    def _write_texts(
        self, connection: apsw.Connection, client_id: int, new: set[int]
    ) -> None:
        rows = [
            (number, node, self.bodies.get(number, ""))
            for number in sorted(self.texts)
            if (node := self.nodes.get(number)) is not None
        ]
        fresh = [row for row in rows if row[0] in new]
        replace_texts(connection, fresh, are_new=True)
        replace_texts(
            connection,
            (
                (
                    number,
                    node,
                    load_body(connection, number, client_id).text()
                    if node.has_body and number not in self.bodies
                    else text,
                )
                for number, node, text in rows
                if number not in new
            ),
            are_new=False,
        )

    def _log_states(self, connection: apsw.Connection, new: set[int]) -> None:
        """Note rows that a saved index has to read again."""
        nodes = (self.changed_nodes | set(self.landmarks)) - new
        edges = self.changed_edges.difference(self.new_edges)
        connection.executemany(
            "INSERT INTO index_change (kind, row) VALUES (?, ?)",
            [(NODE_CHANGE, n) for n in nodes] + [(EDGE_CHANGE, n) for n in edges],
        )
