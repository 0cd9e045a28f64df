"""The bodies of nodes in the store: one compressed Yjs document per row."""

import hashlib
from typing import Final

import apsw

from crdt.document import BodyDocument, merge
from crdt.shards import pack, unpack
from crdt.yjs_profile import BODY
from crdt.yjs_update import decode_state_vector, parse

_OPEN_COUNT: Final = 8
_OPEN_BYTES: Final = 4 * 1024 * 1024
"""Compressed bytes of bodies kept open, together; but one is kept whatever its size."""


class OpenBodies:
    """The bodies that were changed last, for the thread that owns the store.

    A document is used again only while its row holds the very bytes as which it was
    stored: what was undone, or written in another way, is loaded anew.
    """

    def __init__(self, connection: apsw.Connection, client_id: int) -> None:
        self._connection = connection
        self._client_id = client_id
        self._open: dict[int, tuple[bytes, BodyDocument]] = {}

    def load(self, number: int) -> BodyDocument:
        """Return the body of a node row, to be changed and then saved or dropped."""
        packed, document = self._open.pop(number, (b"", None))
        if document is not None and packed == _packed(self._connection, number):
            return document
        return load_body(self._connection, number, self._client_id)

    def save(
        self, number: int, document: BodyDocument, *news: bytes
    ) -> tuple[bytes, bytes]:
        """Store a body as `save_body` does, and keep it open."""
        hashes = save_body(self._connection, number, document, *news)
        self._open[number] = _packed(self._connection, number), document
        while len(self._open) > 1 and (
            len(self._open) > _OPEN_COUNT
            or sum(len(packed) for packed, _ in self._open.values()) > _OPEN_BYTES
        ):
            del self._open[next(iter(self._open))]
        return hashes


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
