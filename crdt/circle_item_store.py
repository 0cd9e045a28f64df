"""The records of circles in the store: those that stand, and those not to be taken.

Rule: everything here happens in the caller's transaction. Only what stands in memory
too is ever written, so that a row always is the newest of its author and slot.
"""

from collections.abc import Iterable
from typing import Final

import apsw

from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_standing import Placed, StoredItem
from crdt.circle_store import CIRCLE_NUMBER
from crdt.ids import AuthorKey, CircleId

_SEQUENCE_BYTES: Final = 8
_SLOT: Final = f"circle = {CIRCLE_NUMBER} AND kind = ? AND author = ? AND slot = ?"


def read_items(
    connection: apsw.Connection, circle: CircleId, kind: ItemKind
) -> list[StoredItem]:
    """Return the records of a kind, of former members too."""
    return [
        StoredItem(kind, _placed(author, slot, sequence, epoch, identity), content)
        for author, slot, sequence, epoch, identity, content in connection.execute(
            "SELECT author, slot, sequence, epoch, hash, content FROM circle_item"
            f" WHERE circle = {CIRCLE_NUMBER} AND kind = ?",
            (circle, int(kind)),
        )
    ]


def read_places(
    connection: apsw.Connection, circle: CircleId, kind: ItemKind
) -> list[Placed]:
    """Return where the records of a kind stand, of former members too."""
    return [
        _placed(author, slot, sequence, epoch, identity)
        for author, slot, sequence, epoch, identity in connection.execute(
            "SELECT author, slot, sequence, epoch, hash FROM circle_item"
            f" WHERE circle = {CIRCLE_NUMBER} AND kind = ?",
            (circle, int(kind)),
        )
    ]


def count_longer(
    connection: apsw.Connection, circle: CircleId, kind: ItemKind, least_bytes: int
) -> dict[AuthorKey, int]:
    """Return how many records of so many bytes or more each author has."""
    return {
        AuthorKey(author): count
        for author, count in connection.execute(
            "SELECT author, count(*) FROM circle_item"
            f" WHERE circle = {CIRCLE_NUMBER} AND kind = ? AND length(content) >= ?"
            " GROUP BY author",
            (circle, int(kind), least_bytes),
        )
    }


def read_items_of(
    connection: apsw.Connection, circle: CircleId, authors: Iterable[AuthorKey]
) -> list[StoredItem]:
    """Return all records of some authors."""
    return [
        StoredItem(
            ItemKind(kind), _placed(author, slot, sequence, epoch, identity), content
        )
        for author in authors
        for kind, slot, sequence, epoch, identity, content in connection.execute(
            "SELECT kind, slot, sequence, epoch, hash, content FROM circle_item"
            f" WHERE circle = {CIRCLE_NUMBER} AND kind IN (1, 2, 3) AND author = ?",
            (circle, author),
        )
    ]


def read_items_at(
    connection: apsw.Connection,
    circle: CircleId,
    kind: ItemKind,
    places: Iterable[Placed],
) -> list[Item]:
    """Return those of the records that still stand in their places, in this order."""
    found: list[Item] = []
    for placed in places:
        row = connection.execute(
            f"SELECT hash, content FROM circle_item WHERE {_SLOT}",
            (circle, int(kind), placed.author, placed.slot),
        ).fetchone()
        if row is not None and row[0] == placed.name.id:
            found.append(Item(kind, placed.name, row[1]))
    return found


def write_items(
    connection: apsw.Connection,
    circle: CircleId,
    items: Iterable[StoredItem],
) -> None:
    """Store records, each in place of the one in its slot."""
    connection.executemany(
        "INSERT OR REPLACE INTO circle_item"
        " (circle, kind, author, slot, sequence, epoch, hash, content)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                circle,
                int(each.kind),
                each.placed.author,
                each.placed.slot,
                each.placed.sequence.to_bytes(_SEQUENCE_BYTES),
                each.placed.name.epoch,
                each.placed.name.id,
                each.content,
            )
            for each in items
        ],
    )


def delete_items(
    connection: apsw.Connection,
    circle: CircleId,
    kind: ItemKind,
    places: Iterable[Placed],
) -> None:
    """Drop records that no longer stand; those that replaced them stay."""
    connection.executemany(
        f"DELETE FROM circle_item WHERE {_SLOT} AND hash = ?",
        [(circle, int(kind), each.author, each.slot, each.name.id) for each in places],
    )


def read_quarantine(
    connection: apsw.Connection, circle: CircleId
) -> dict[bytes, AuthorKey]:
    """Return by id who wrote the records that are not taken, first found first."""
    return {
        hash_: AuthorKey(author)
        for hash_, author in connection.execute(
            "SELECT hash, author FROM circle_quarantine"
            f" WHERE circle = {CIRCLE_NUMBER} ORDER BY found_ms, hash",
            (circle,),
        )
    }


def write_quarantine(
    connection: apsw.Connection,
    circle: CircleId,
    quarantined: Iterable[tuple[bytes, AuthorKey]],
    now_ms: int,
    most: int,
) -> None:
    """Note records that are not to be taken, the `most` newest of the circle's."""
    connection.executemany(
        "INSERT OR IGNORE INTO circle_quarantine (circle, hash, author, found_ms)"
        f" VALUES ({CIRCLE_NUMBER}, ?, ?, ?)",
        [(circle, hash_, author, now_ms) for hash_, author in quarantined],
    )
    connection.execute(
        f"DELETE FROM circle_quarantine WHERE circle = {CIRCLE_NUMBER} AND hash IN ("
        f" SELECT hash FROM circle_quarantine WHERE circle = {CIRCLE_NUMBER}"
        " ORDER BY found_ms DESC, hash DESC LIMIT -1 OFFSET ?)",
        (circle, circle, most),
    )


def _placed(
    author: bytes, slot: bytes, sequence: bytes, epoch: int, identity: bytes
) -> Placed:
    name = ItemName(epoch, identity)
    return Placed(AuthorKey(author), slot, int.from_bytes(sequence), name)
