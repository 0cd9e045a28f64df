"""The circles of this person in the store: which there are, and who belongs to them.

Rule: everything here happens in the caller's transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import apsw

from crdt.ids import CircleId

CIRCLE_NUMBER: Final = "(SELECT number FROM circle WHERE id = ?)"
"""How a circle is named in the rows of other tables."""


class CircleState(IntEnum):
    """Whether this person takes part."""

    ACTIVE = 0
    LEFT = 1


@dataclass(frozen=True, slots=True)
class StoredCircle:
    """A circle as it is kept."""

    id: CircleId
    founding: bytes
    """The statement of which `id` is the hash."""
    keys: bytes = field(repr=False)
    """The record of its keys."""
    state: CircleState = CircleState.ACTIVE


def read_circles(connection: apsw.Connection) -> list[StoredCircle]:
    """Return the circles in the order in which they came in, left ones too."""
    return [
        StoredCircle(CircleId(identity), founding, keys, CircleState(state))
        for identity, founding, keys, state in connection.execute(
            "SELECT id, founding, keys, state FROM circle ORDER BY number"
        )
    ]


def write_circle(connection: apsw.Connection, circle: StoredCircle) -> None:
    """Store a circle that is new, or the keys and the state of one that is known."""
    connection.execute(
        "INSERT INTO circle (id, founding, keys, state) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, state = excluded.state",
        (circle.id, circle.founding, circle.keys, int(circle.state)),
    )


def write_circle_keys(
    connection: apsw.Connection, circle: CircleId, keys: bytes
) -> None:
    """Store the record of a known circle's keys."""
    connection.execute("UPDATE circle SET keys = ? WHERE id = ?", (keys, circle))


def write_circle_state(
    connection: apsw.Connection, circle: CircleId, state: CircleState
) -> None:
    """Store whether this person takes part in a known circle."""
    connection.execute("UPDATE circle SET state = ? WHERE id = ?", (int(state), circle))


def read_circle_statements(
    connection: apsw.Connection, circle: CircleId
) -> list[tuple[bytes, bytes]]:
    """Return the statements of a circle, each as hash and encoded."""
    rows: list[tuple[bytes, bytes]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        f"SELECT hash, encoded FROM circle_statement WHERE circle = {CIRCLE_NUMBER}",
        (circle,),
    ).fetchall()
    return rows


def write_circle_statements(
    connection: apsw.Connection,
    circle: CircleId,
    statements: Iterable[tuple[bytes, bytes]],
) -> None:
    """Store statements of a known circle, each as hash and encoded."""
    connection.executemany(
        "INSERT OR IGNORE INTO circle_statement (circle, hash, encoded)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?)",
        [(circle, hash_, encoded) for hash_, encoded in statements],
    )
