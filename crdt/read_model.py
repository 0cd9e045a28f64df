"""Nodes and edges as rows: what lists, searches and answers are read from.

Derived from the shards, written in the same transaction as the journal. Rows are
numbered like the graph index. Rule: this file knows columns and SQL, and nothing of
how records come about.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from crdt.adjacency import PRESENT, REMOVED
from crdt.graph_index import GHOST, TRASHED, VISIBLE, GraphIndex
from crdt.ids import NodeKey, edge_id
from crdt.records import Edge, Metadata, Node

NODE_COLUMNS: Final = (
    "key, label, type, network, metadata, created_ms, updated_ms, version,"
    " deleted_ms, has_body"
)
EDGE_COLUMNS: Final = (
    "source, target, type, weight, metadata, created_ms, version, state"
)
EMPTY_NODES: Final = (
    f"UPDATE node SET state = {GHOST}, label = NULL, type = NULL, network = NULL,"
    " metadata = NULL, created_ms = NULL, updated_ms = NULL, version = NULL,"
    " deleted_ms = NULL, has_body = NULL"
)
_READ_NODE: Final = f"SELECT {NODE_COLUMNS} FROM node WHERE id = ? AND state > 0"
_READ_EDGE: Final = f"SELECT {EDGE_COLUMNS} FROM edge WHERE id = ?"
_decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def read_node(connection: apsw.Connection, number: int) -> Node | None:
    """Return the node of a row, visible or in the trash, or None for a ghost."""
    row = connection.execute(_READ_NODE, (number,)).fetchone()
    return None if row is None else to_node(row)


def to_node(row: Sequence[Any]) -> Node:
    """Make a node from the columns `NODE_COLUMNS`."""
    key, label, kind, network, metadata, created, updated, version, deleted, body = row
    decoded: Metadata = {} if metadata is None else _decode_metadata(metadata)
    return Node(
        key,
        label,
        kind,
        decoded,
        network,
        created,
        updated,
        version,
        deleted,
        body == 1,
    )


def read_edge(
    connection: apsw.Connection, index: GraphIndex, number: int
) -> Edge | None:
    """Return the edge of a row, present or removed."""
    row = connection.execute(_READ_EDGE, (number,)).fetchone()
    return None if row is None else to_edge(row, index)


def read_weight(connection: apsw.Connection, number: int) -> float:
    """Return the weight of the edge of a row."""
    row = connection.execute(
        "SELECT weight FROM edge WHERE id = ?", (number,)
    ).fetchone()
    return 0.0 if row is None else float(row[0])


def to_edge(row: Sequence[Any], index: GraphIndex) -> Edge:
    """Make an edge from the columns `EDGE_COLUMNS`."""
    source, target, kind, weight, metadata, created, version, state = row
    source_key, target_key = index.keys.key(source), index.keys.key(target)
    name = index.edge_types[kind]
    decoded: Metadata = {} if metadata is None else _decode_metadata(metadata)
    return Edge(
        edge_id(source_key, name, target_key),
        source_key,
        target_key,
        name,
        weight,
        decoded,
        created,
        version,
        state == REMOVED,
    )


def node_state(node: Node | None) -> int:
    """Return the state column of a node; None is a ghost."""
    if node is None:
        return GHOST
    return VISIBLE if node.deleted_ms is None else TRASHED


def insert_nodes(
    connection: apsw.Connection, rows: Iterable[tuple[int, NodeKey, Node | None]]
) -> None:
    """Add rows for new numbers; a key without a node is a ghost."""
    connection.executemany(
        f"INSERT INTO node (id, state, {NODE_COLUMNS})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, GHOST, key, *([None] * 9))
            if node is None
            else (number, node_state(node), *_node_values(node))
            for number, key, node in rows
        ],
    )


def update_nodes(connection: apsw.Connection, rows: Iterable[tuple[int, Node]]) -> None:
    """Replace what rows hold."""
    connection.executemany(
        f"UPDATE node SET (state, {NODE_COLUMNS}) ="
        " (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) WHERE id = ?1",
        [(number, node_state(node), *_node_values(node)) for number, node in rows],
    )


def empty_nodes(connection: apsw.Connection, numbers: Iterable[int]) -> None:
    """Leave of rows nothing but the key: each is a ghost."""
    rows = [(number,) for number in numbers]
    connection.executemany(f"{EMPTY_NODES} WHERE id = ?", rows)
    connection.executemany("DELETE FROM node_text WHERE rowid = ?", rows)


def insert_edges(
    connection: apsw.Connection,
    index: GraphIndex,
    rows: Iterable[tuple[int, Edge]],
) -> None:
    """Add rows for new edge numbers, which the index holds already."""
    connection.executemany(
        "INSERT INTO edge (id, source, target, type, weight, metadata,"
        " created_ms, version, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                index.edges.sources[number],
                index.edges.targets[number],
                index.edges.types[number],
                *_edge_values(edge),
            )
            for number, edge in rows
        ],
    )


def update_edges(connection: apsw.Connection, rows: Iterable[tuple[int, Edge]]) -> None:
    """Replace what rows hold; the ends and type of an edge never change."""
    connection.executemany(
        "UPDATE edge SET (weight, metadata, created_ms, version, state) ="
        " (?2, ?3, ?4, ?5, ?6) WHERE id = ?1",
        [(number, *_edge_values(edge)) for number, edge in rows],
    )


def replace_texts(
    connection: apsw.Connection, rows: Iterable[tuple[int, Node, str]], *, are_new: bool
) -> None:
    """Index (row number, node, body) for text search; hidden nodes are left out."""
    texts = list(rows)
    if not are_new:
        connection.executemany(
            "DELETE FROM node_text WHERE rowid = ?", [(number,) for number, *_ in texts]
        )
    connection.executemany(
        "INSERT INTO node_text (rowid, label, body) VALUES (?, ?, ?)",
        [
            (number, node.label, body)
            for number, node, body in texts
            if node.deleted_ms is None
        ],
    )


def edge_state(edge: Edge) -> int:
    """Return the state column of an edge."""
    return REMOVED if edge.is_deleted else PRESENT


def _node_values(node: Node) -> tuple[object, ...]:
    return (
        node.key,
        node.label,
        node.type,
        node.network,
        _metadata(node.metadata),
        node.created_ms,
        node.updated_ms,
        node.version,
        node.deleted_ms,
        1 if node.has_body else None,
    )


def _edge_values(edge: Edge) -> tuple[object, ...]:
    return (
        edge.weight,
        _metadata(edge.metadata),
        edge.created_ms,
        edge.version,
        edge_state(edge),
    )


def _metadata(metadata: Metadata) -> str | None:
    return _encode(metadata).decode() if metadata else None
