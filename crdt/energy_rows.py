"""The energies of nodes in the store: one for each node, device, half-life."""

import apsw

from crdt import energy


def read_landmark(
    connection: apsw.Connection, node: int, device: int, half_life: int
) -> float:
    """Return what a device, by local number, gave a node under a half-life."""
    row = connection.execute(
        "SELECT landmark FROM energy WHERE node = ? AND device = ? AND half_life = ?",
        (node, device, half_life),
    ).fetchone()
    return energy.EMPTY if row is None else float(row[0])


def read_landmarks(connection: apsw.Connection, node: int) -> list[tuple[int, float]]:
    """Return (half-life, landmark) of all that devices gave a node."""
    rows = connection.execute(
        "SELECT half_life, landmark FROM energy WHERE node = ?", (node,)
    )
    return [(int(half_life), float(landmark)) for half_life, landmark in rows]


def write_landmark(
    connection: apsw.Connection,
    node: int,
    device: int,
    half_life: int,
    landmark: float,
) -> None:
    """Store what a device gave a node, in the caller's transaction."""
    connection.execute(
        "INSERT INTO energy (node, device, half_life, landmark)"
        " VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (node, device, half_life) DO UPDATE SET landmark = ?4",
        (node, device, half_life, landmark),
    )
