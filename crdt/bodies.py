"""The bodies of nodes in the store: one compressed Yjs document per row."""

import hashlib

import apsw

from crdt.document import BodyDocument, merge
from crdt.shards import pack, unpack
from crdt.yjs_profile import BODY
from crdt.yjs_update import EMPTY_UPDATE, decode_state_vector, parse


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
    merged = merge([*_updates(connection, number), *news])
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


def missing_of_body(
    connection: apsw.Connection, number: int, state_vector: bytes
) -> tuple[bytes, bytes]:
    """Return what of a body a document of this state lacks, and the body's own state.

    Raises `MalformedError` for what is no state vector.
    """
    asked = decode_state_vector(state_vector)
    updates = _updates(connection, number)
    document = BodyDocument(1, updates)
    if not updates:
        return EMPTY_UPDATE, document.state_vector()
    whole = merge(updates)
    held = parse(whole, BODY)
    if held.fits(document.clocks()) and held.pair_halves.isdisjoint(asked.items()):
        return document.difference(state_vector), document.state_vector()
    # What waits for a missing update is in no difference, and the Yjs library cannot
    # begin one inside a character.
    return whole, document.state_vector()


def body_hash(connection: apsw.Connection, number: int) -> bytes:
    """Return the SHA-256 of a body's text; empty if there is no text."""
    row = connection.execute(
        "SELECT text_hash FROM body WHERE node = ?", (number,)
    ).fetchone()
    return b"" if row is None else bytes(row[0])


def _updates(connection: apsw.Connection, number: int) -> list[bytes]:
    row = connection.execute(
        "SELECT snapshot FROM body WHERE node = ?", (number,)
    ).fetchone()
    return [] if row is None else unpack(row[0])
