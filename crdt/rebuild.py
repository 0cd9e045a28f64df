"""The read model made anew from what it derives from: shards, bodies and energy.

Rules of this file:
1. Everything is computed from whole shards, not by the steps that maintain the read
   model from change to change; so each of the two is a check of the other.
2. Nodes keep their numbers: bodies, energies and streams name nodes by them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import apsw
import msgspec

from crdt import digest, journal
from crdt.bodies import load_body
from crdt.database import Database, commit_number, store_errors
from crdt.embeddings import queue_all
from crdt.graph_index import GraphIndex
from crdt.identity import Identity
from crdt.ids import NodeKey, ShardNumber
from crdt.index_store import load_index
from crdt.read_model import (
    EMPTY_NODES,
    insert_edges,
    insert_nodes,
    read_edge,
    replace_texts,
    update_nodes,
)
from crdt.records import Edge, Node
from crdt.schema import fold_edge, fold_node
from crdt.shard_content import ShardContent, shard_content
from crdt.shards import Shards
from crdt.space_keys import SpaceKeys
from crdt.totals import Totals, read_totals, write_totals

_EMPTY_THE_READ_MODEL: Final = f"""
    {EMPTY_NODES};
    DELETE FROM edge;
    DELETE FROM edge_type;
    DELETE FROM index_column;
    DELETE FROM index_change;
    INSERT INTO node_text (node_text) VALUES ('delete-all');
"""
_VISIBLE_EDGES: Final = (
    "SELECT edge.id FROM edge JOIN node AS s ON s.id = edge.source AND s.state = 1"
    " JOIN node AS t ON t.id = edge.target AND t.state = 1 WHERE edge.state = 1"
)


def rebuild(database: Database, identity: Identity, keys: SpaceKeys) -> Totals:
    """Build the read model of an open store anew and return the totals it has now.

    No replica may be open. Raises a `StoreError` with nothing changed.
    """
    connection = database.writer
    with store_errors():
        totals = read_totals(connection)
        commit = commit_number(connection) + 1
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_EMPTY_THE_READ_MODEL)
            shards = Shards(connection, identity.client_id)
            journal.replay(connection, totals, shards)
            building = _Building(connection, keys)
            for number in shards.occupied():
                building.add_shard(shards, number)
            queue_all(connection)
            totals.nodes, totals.edges, sum_of_elements = building.finish()
            totals.digest = digest.combined(digest.EMPTY, sum_of_elements, 0).to_bytes(
                digest.DIGEST_BYTES
            )
            write_totals(connection, totals, commit)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    database.acknowledge(commit)
    return totals


@dataclass(slots=True, eq=False)
class _Building:
    """A read model in the making; rows are written shard by shard."""

    connection: apsw.Connection
    keys: SpaceKeys
    index: GraphIndex = field(init=False)
    node_count: int = 0
    sum_of_elements: int = 0

    def __post_init__(self) -> None:
        self.index = load_index(self.connection)

    def add_shard(self, shards: Shards, number: ShardNumber) -> None:
        """Write the rows of one shard's nodes and edges."""
        entries = shards.thaw(number).entries()
        content = shard_content(entries, number, self.keys.shard_secret)
        self._add_nodes(content)
        self._add_edges(content)
        self.index.fold()

    def finish(self) -> tuple[int, int, int]:
        """Return the number of nodes and edges that show, and the sum for the digest.

        Which edges show is known only now that every node has its row.
        """
        edge_count = 0
        for (number,) in self.connection.execute(_VISIBLE_EDGES):
            edge = read_edge(self.connection, self.index, number)
            if edge is not None:
                edge_count += 1
                self.sum_of_elements += digest.edge_element(self.keys.digest_key, edge)
        return self.node_count, edge_count, self.sum_of_elements

    def _add_nodes(self, content: ShardContent) -> None:
        found = (fold_node(key, entries) for key, entries in content.nodes.items())
        nodes = [node for node in found if node is not None]
        self._mention([node.key for node in nodes])
        rows: list[tuple[int, Node, str]] = []
        for node in nodes:
            number = self.index.keys.number(node.key)
            text = self._body(number)
            shown = msgspec.structs.replace(node, has_body=bool(text))
            rows.append((number, shown, text))
            if shown.deleted_ms is None:
                self._count_node(shown, text)
        update_nodes(self.connection, ((number, node) for number, node, _ in rows))
        replace_texts(self.connection, rows, are_new=True)

    def _add_edges(self, content: ShardContent) -> None:
        found = (fold_edge(*place, entries) for place, entries in content.edges.items())
        edges = [edge for edge in found if edge is not None]
        self._mention(chain.from_iterable((e.source, e.target) for e in edges))
        rows: list[tuple[int, Edge]] = []
        for edge in edges:
            kind = self.index.edge_type_number(edge.type)
            if kind is None:
                kind = self.index.add_edge_type(edge.type)
                self.connection.execute(
                    "INSERT INTO edge_type (id, name) VALUES (?, ?)", (kind, edge.type)
                )
            source = self.index.keys.number(edge.source)
            target = self.index.keys.number(edge.target)
            rows.append((self.index.edges.add(source, target, kind), edge))
        insert_edges(self.connection, self.index, rows)

    def _mention(self, keys: Iterable[NodeKey]) -> None:
        """Give every key that has none a number and a row."""
        unknown = [
            key for key in dict.fromkeys(keys) if not self.index.keys.number(key)
        ]
        rows = [(self.index.add_node(key), key, None) for key in unknown]
        insert_nodes(self.connection, rows)

    def _body(self, number: int) -> str:
        """Return the text of a body, its hash brought up to date; empty if none."""
        text = load_body(self.connection, number, 1).text()
        text_hash = hashlib.sha256(text.encode()).digest() if text else b""
        self.connection.execute(
            "UPDATE body SET text_hash = ? WHERE node = ?", (text_hash, number)
        )
        return text

    def _count_node(self, node: Node, text: str) -> None:
        key = self.keys.digest_key
        self.node_count += 1
        self.sum_of_elements += digest.node_element(key, node)
        if text:
            text_hash = hashlib.sha256(text.encode()).digest()
            self.sum_of_elements += digest.body_element(key, node.key, text_hash)
