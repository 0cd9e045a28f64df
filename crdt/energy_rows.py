"""The energies of nodes in the store: an accumulator for each node and device."""

import apsw

from crdt import energy


def read_landmark(connection: apsw.Connection, node: int, device: int) -> float:
    """Return what a device, by local number, gave a node."""
    row = connection.execute(
        "SELECT landmark FROM energy WHERE node = ? AND device = ?", (node, device)
    ).fetchone()
    return energy.EMPTY if row is None else float(row[0])


def read_landmarks(connection: apsw.Connection, node: int) -> list[float]:
    """Return what each device gave a node."""
    rows = connection.execute("SELECT landmark FROM energy WHERE node = ?", (node,))
    return [float(landmark) for (landmark,) in rows]


def write_landmark(
    connection: apsw.Connection, node: int, device: int, landmark: float
) -> None:
    """Store what a device gave a node, in the caller's transaction."""
    connection.execute(
        "INSERT INTO energy (node, device, landmark) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (node, device) DO UPDATE SET landmark = ?3",
        (node, device, landmark),
    )
