"""Which envelope holds a node's last change, until everybody who reads has it.

With it one can tell on how many devices a node is safe. Rules of this file:

1. A row is written in the transaction of the change and goes when every reader has
   acknowledged its envelope.
2. A node without a row did not change since `floor`: whoever has acknowledged that
   vector has the node.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import apsw
import msgspec

from crdt.devices import OWN_DEVICE
from crdt.ids import DeviceId
from crdt.vectors import VersionVector

_FLOOR: Final = "safety floor"
_FORGET_ROWS: Final = 4096


class NodeChanges:
    """Table node_change, and the vector from which on it is complete."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Read the floor."""
        self._connection = connection
        row = connection.execute(
            "SELECT value FROM setting WHERE name = ?", (_FLOOR,)
        ).fetchone()
        self.floor: VersionVector | None = None
        """None while nobody else reads: then nothing is noted."""
        if row is not None:
            self.floor = msgspec.msgpack.decode(row[0], type=dict[DeviceId, int])

    def write_floor(self, floor: VersionVector | None) -> None:
        """Store a floor, in the caller's transaction; without one nothing is kept."""
        if floor is None:
            self._connection.execute("DELETE FROM node_change")
            self._connection.execute("DELETE FROM setting WHERE name = ?", (_FLOOR,))
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
            (_FLOOR, msgspec.msgpack.encode(floor)),
        )

    def write(self, origins: Mapping[int, tuple[int, int]]) -> None:
        """Note by which envelope nodes changed, in the caller's transaction."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO node_change (node, device, sequence)"
            " VALUES (?, ?, ?)",
            [(node, *origin) for node, origin in origins.items()],
        )

    def seal(self, sequence: int) -> None:
        """Note that all own changes stand in envelopes up to this one."""
        self._connection.execute(
            "UPDATE node_change SET sequence = ? WHERE device = ? AND sequence = 0",
            (sequence, OWN_DEVICE),
        )

    def due(self, through: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return those of (device number, sequence) up to which there are rows."""
        return [
            place
            for place in through
            if self._connection.execute(
                "SELECT 1 FROM node_change WHERE device = ? AND sequence BETWEEN 1"
                " AND ? LIMIT 1",
                place,
            ).fetchone()
        ]

    def forget(self, through: Iterable[tuple[int, int]]) -> bool:
        """Drop some rows up to these (device number, sequence); whether more wait."""
        left = _FORGET_ROWS
        for device, sequence in through:
            self._connection.execute(
                "DELETE FROM node_change WHERE node IN (SELECT node FROM node_change"
                " WHERE device = ? AND sequence BETWEEN 1 AND ? LIMIT ?)",
                (device, sequence, left),
            )
            left -= self._connection.changes()
            if left <= 0:
                return True
        return False


def last_change(connection: apsw.Connection, node: int) -> tuple[int, int] | None:
    """Return (device number, sequence) of a node's last change, None if it is old."""
    row = connection.execute(
        "SELECT device, sequence FROM node_change WHERE node = ?", (node,)
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))
