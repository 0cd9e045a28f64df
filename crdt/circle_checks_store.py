"""Which contributions were checked on this device, so that none is checked twice.

Rule: everything here happens in the caller's transaction.
"""

from collections.abc import Iterable

import apsw

from crdt.circle_store import CIRCLE_NUMBER
from crdt.ids import CircleId


def read_checked(connection: apsw.Connection, circle: CircleId) -> set[bytes]:
    """Return the ids of the contributions that were checked."""
    rows = connection.execute(
        f"SELECT hash FROM circle_checked WHERE circle = {CIRCLE_NUMBER}", (circle,)
    )
    return {bytes(hash_) for (hash_,) in rows}


def write_checked(
    connection: apsw.Connection, circle: CircleId, ids: Iterable[bytes]
) -> None:
    """Note that contributions were checked."""
    connection.executemany(
        "INSERT OR IGNORE INTO circle_checked (circle, hash)"
        f" VALUES ({CIRCLE_NUMBER}, ?)",
        [(circle, each) for each in ids],
    )


def delete_checked(
    connection: apsw.Connection, circle: CircleId, ids: Iterable[bytes]
) -> None:
    """Forget contributions that are no longer there."""
    connection.executemany(
        f"DELETE FROM circle_checked WHERE circle = {CIRCLE_NUMBER} AND hash = ?",
        [(circle, each) for each in ids],
    )
