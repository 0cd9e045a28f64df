"""The graph index between two runs: saved as columns, caught up, or built anew.

Saving is for speed alone. Rows added since have greater numbers than the columns
reach, rows changed since are listed in table `index_change`; so a start after a crash
reads only those, and a start without columns reads every row.
"""

from collections.abc import Iterable
from typing import Any, Final

import apsw

from crdt import energy
from crdt.energy_rows import read_landmarks
from crdt.graph_index import GraphIndex
from crdt.ids import KEY_END
from crdt.networks import KEY_PREFIX, half_life_of, network_of
from crdt.read_model import NODE_COLUMNS, to_node
from crdt.staged_rows import EDGE_CHANGE, NODE_CHANGE

_LAYOUT: Final = "1/"
"""What the names of saved columns begin with. Columns of any other layout are as if
absent: whoever changes what a column holds counts this up."""
_PART_BYTES: Final = 1024 * 1024
_NODE: Final = "SELECT id, key, state, created_ms, network FROM node"
_EDGE: Final = "SELECT id, source, target, type, state FROM edge"


def load_index(connection: apsw.Connection) -> GraphIndex:
    """Return the index of all rows that the store holds."""
    index = GraphIndex()
    columns: dict[str, bytearray] = {}
    for name, data in connection.execute(
        "SELECT name, data FROM index_column ORDER BY name, part"
    ):
        if name.startswith(_LAYOUT):
            column = name.removeprefix(_LAYOUT)
            columns.setdefault(column, bytearray()).extend(data)
    if columns:
        index.restore(columns)
    for (name,) in connection.execute("SELECT name FROM edge_type ORDER BY id"):
        index.add_edge_type(str(name))
    _load_half_lives(connection, index)
    known_nodes = len(index.keys)
    _add_newer(connection, index)
    _reread_other_paces(connection, index, known_nodes)
    _reread_changed(connection, index)
    index.fold()
    return index


def save_index(connection: apsw.Connection, index: GraphIndex) -> None:
    """Write the index as columns, in the caller's transaction; empty ones too."""
    connection.execute("DELETE FROM index_column")
    for name, data in index.columns().items():
        connection.executemany(
            "INSERT INTO index_column (name, part, data) VALUES (?, ?, ?)",
            (
                (_LAYOUT + name, part, bytes(data[start : start + _PART_BYTES]))
                for part, start in enumerate(range(0, len(data) or 1, _PART_BYTES))
            ),
        )
    connection.execute("DELETE FROM index_change")


def unsaved_rows(connection: apsw.Connection, index: GraphIndex) -> int:
    """Return how many rows a start would have to read beyond the saved columns."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT (SELECT count(*) FROM index_change), coalesce(sum(length(data)), 0)"
        " FROM index_column WHERE name IN (?, ?)",
        (f"{_LAYOUT}node_states", f"{_LAYOUT}edge_states"),
    ).fetchall()
    changed, saved = rows[0]
    return int(changed) + len(index.keys) + len(index.edges) + 2 - int(saved)


def _add_newer(connection: apsw.Connection, index: GraphIndex) -> None:
    known_nodes, known_edges = len(index.keys), len(index.edges)
    for number, key, state, created_ms, network in connection.execute(
        f"{_NODE} WHERE id > ? ORDER BY id", (known_nodes,)
    ):
        index.add_node(key)
        index.states[number] = state
        if state:
            half_life = index.half_life(network)
            index.set_landmarks(number, energy.totals(created_ms, half_life, ()))
        if number % 50_000 == 0:
            index.fold()
    nodes = connection.execute(
        "SELECT DISTINCT node FROM energy WHERE node > ?", (known_nodes,)
    )
    _reread_landmarks(connection, index, [node for (node,) in nodes])
    for number, source, target, kind, state in connection.execute(
        f"{_EDGE} WHERE id > ? ORDER BY id", (known_edges,)
    ):
        index.edges.add(source, target, kind)
        index.edges.states[number] = state
        if number % 200_000 == 0:
            index.fold()


def _reread_changed(connection: apsw.Connection, index: GraphIndex) -> None:
    changed = set(connection.execute("SELECT kind, row FROM index_change"))
    nodes = [row for kind, row in changed if kind == NODE_CHANGE]
    for node in nodes:
        for (state,) in connection.execute(
            "SELECT state FROM node WHERE id = ?", (node,)
        ):
            index.states[node] = state
    _reread_landmarks(connection, index, nodes)
    for kind, row in changed:
        if kind == EDGE_CHANGE:
            for (state,) in connection.execute(
                "SELECT state FROM edge WHERE id = ?", (row,)
            ):
                index.edges.states[row] = state


def _reread_landmarks(
    connection: apsw.Connection, index: GraphIndex, nodes: Iterable[int]
) -> None:
    for node in nodes:
        row: tuple[int, str] | None = connection.execute(
            "SELECT created_ms, network FROM node WHERE id = ? AND state > 0", (node,)
        ).fetchone()
        if row is None:
            continue
        spent = read_landmarks(connection, node)
        half_life = index.half_life(row[1])
        index.set_landmarks(node, energy.totals(row[0], half_life, spent))


def _load_half_lives(connection: apsw.Connection, index: GraphIndex) -> None:
    """Read the settings of networks."""
    for row in connection.execute(
        f"SELECT {NODE_COLUMNS} FROM node WHERE key >= ? AND key < ? AND state = 1",
        (KEY_PREFIX, KEY_PREFIX + KEY_END),
    ):
        node = to_node(row)
        network = network_of(node.key)
        if network is not None:
            index.set_half_life(network, half_life_of(node))


def _reread_other_paces(
    connection: apsw.Connection, index: GraphIndex, known_nodes: int
) -> None:
    """Read the energies that saved columns have no room for."""
    nodes = {
        int(node)
        for (node,) in connection.execute(
            f"SELECT DISTINCT node FROM energy WHERE half_life != {energy.HALF_LIFE}"
        )
    }
    for network in index.half_lives:
        rows = connection.execute(
            "SELECT id FROM node WHERE network = ? AND state > 0", (network,)
        )
        nodes.update(int(node) for (node,) in rows)
    _reread_landmarks(
        connection, index, sorted(node for node in nodes if node <= known_nodes)
    )
