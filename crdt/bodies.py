"""The bodies of nodes in the store: one compressed Yjs document per row.

Rule: a document serves one change and is let go. Kept in memory over thousands of
hostile updates that each passed every check, the Yjs library has written outside of its
memory; made anew from the stored bytes, it never has.
"""

import hashlib

import apsw

from crdt.document import BodyDocument, merge
from crdt.shards import pack, unpack
from crdt.yjs_profile import BODY
from crdt.yjs_update import decode_state_vector, parse


def load_body(connection: apsw.Connection, number: int, client_id: int) -> BodyDocument:
    """Return the body of a node row; an empty one if it has none yet."""
    return BodyDocument(client_id, _updates(connection, number))


def save_body(
    connection: apsw.Connection, number: int, document: BodyDocument, *news: bytes
) -> tuple[bytes, bytes]:
    """Store a body that has just taken the updates `news`, in the caller's transaction.

    What waits for a missing update is kept. Returns the SHA-256 of the text before and
    after; the hash of an empty text is empty.
    """
    if document.is_whole:
        encoded = document.snapshot()
    else:
        encoded = merge([*_updates(connection, number), *news])
        if parse(encoded, BODY).fits(document.clocks()):
            encoded = document.snapshot()
            document.is_whole = True
    before = body_hash(connection, number)
    text = document.text()
    after = hashlib.sha256(text.encode()).digest() if text else b""
    connection.execute(
        "INSERT INTO body (node, snapshot, text_hash) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (node) DO UPDATE SET snapshot = ?2, text_hash = ?3",
        (number, pack([encoded]), after),
    )
    return before, after


def missing_of_body(
    connection: apsw.Connection, number: int, state_vector: bytes
) -> tuple[bytes, bytes]:
    """Return what of a body a document of this state lacks, and the body's own state.

    Raises `MalformedError` for what is no state vector.
    """
    asked = decode_state_vector(state_vector)
    document = load_body(connection, number, 1)
    if document.is_whole and not document.has_pair_at(asked):
        return document.difference(state_vector), document.state_vector()
    # What waits for a missing update is in no difference, and the Yjs library cannot
    # begin one inside a character.
    return merge(_updates(connection, number)), document.state_vector()


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
    packed = _packed(connection, number)
    return unpack(packed) if packed else []


def _packed(connection: apsw.Connection, number: int) -> bytes:
    row = connection.execute(
        "SELECT snapshot FROM body WHERE node = ?", (number,)
    ).fetchone()
    return b"" if row is None else bytes(row[0])
