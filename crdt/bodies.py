"""The bodies of nodes in the store: one compressed Yjs document per row."""

import hashlib

import apsw

from crdt.document import BodyDocument, merge
from crdt.shards import pack, unpack
from crdt.yjs_profile import BODY
from crdt.yjs_update import parse


def load_body(connection: apsw.Connection, number: int, client_id: int) -> BodyDocument:
    """Return the body of a node row; an empty one if it has none yet."""
    return BodyDocument(client_id, _updates(connection, number))


def save_body(
    connection: apsw.Connection, number: int, document: BodyDocument, update: bytes
) -> tuple[bytes, bytes]:
    """Store a body that has just taken `update`, in the caller's transaction.

    What waits for a missing update is kept. Returns the SHA-256 of the text before and
    after; the hash of an empty text is empty.
    """
    updates = [*_updates(connection, number), update]
    merged = merge(updates)
    if parse(merged, BODY).fits(document.clocks()):
        merged = document.snapshot()
    before = body_hash(connection, number)
    text = document.text()
    after = hashlib.sha256(text.encode()).digest() if text else b""
    connection.execute(
        "INSERT INTO body (node, snapshot, text_hash) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (node) DO UPDATE SET snapshot = ?2, text_hash = ?3",
        (number, pack([merged]), after),
    )
    return before, after


def body_hash(connection: apsw.Connection, number: int) -> bytes:
    """Return the SHA-256 of a body's text; empty if there is no text."""
    row = connection.execute(
        "SELECT text_hash FROM body WHERE node = ?", (number,)
    ).fetchone()
    return b"" if row is None else bytes(row[0])


def holds_body(connection: apsw.Connection, number: int, update: bytes) -> bool:
    """Whether the body of a node row is exactly what this update makes."""
    return _updates(connection, number) == [update]


def _updates(connection: apsw.Connection, number: int) -> list[bytes]:
    row = connection.execute(
        "SELECT snapshot FROM body WHERE node = ?", (number,)
    ).fetchone()
    return [] if row is None else unpack(row[0])
