"""Vectors in the store: whose text waits for one, which there are, and of which model.

A node whose text may have changed is queued in the transaction that changes it, so the
queue survives whatever ends the program. A vector keeps the hash of its text: a text
that is the same again is not embedded again.

Rules of this file:
1. All of it is derived; nothing here is ever sent to another device.
2. Vectors of two models stand side by side only while the newer ones are being made;
   the answering model changes when the last of them is there.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from crdt.bodies import load_body

BODY_CHARACTERS: Final = 2_000
"""How much of a body is embedded with the label; models read no further."""
NO_VECTOR: Final = b""
"""For a text without anything to embed, or one that no model can take."""
_MODEL_SHIFT: Final = 40
_ANSWERING: Final = "answering_model"
_MAKING: Final = "embedding_model"
"""Names of settings: whose vectors answer, and who makes new ones."""
_AT_ONCE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A node of the queue, as it is now."""

    node: int
    text: str | None
    """None if the node does not show."""
    text_hash: bytes
    is_known: bool
    """Whether the model's vector of this very text is there already."""


@dataclass(frozen=True, slots=True)
class Made:
    """A vector, and of which text of which node."""

    node: int
    text_hash: bytes
    vector: bytes | None
    """None leaves the one that is there."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that made vectors of this store."""

    number: int
    tag: bytes
    folder: str


def models(connection: apsw.Connection) -> list[Model]:
    """Return the models that have vectors here, the oldest first."""
    rows: list[tuple[int, bytes, str]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT id, tag, folder FROM embedding_model ORDER BY id"
    ).fetchall()
    return [Model(*row) for row in rows]


def answering_model(connection: apsw.Connection) -> Model | None:
    """Return the model whose vectors answer questions, None before there is one."""
    number = _setting(connection, _ANSWERING)
    found = (model for model in models(connection) if model.number == number)
    return next(found, None)


def add_model(connection: apsw.Connection, tag: bytes, folder: str) -> Model:
    """Return the model with a tag, which makes all vectors from now on.

    After another model every node is queued; the first one answers from the beginning.
    """
    connection.execute(
        "INSERT INTO embedding_model (tag, folder) VALUES (?1, ?2)"
        " ON CONFLICT (tag) DO UPDATE SET folder = ?2",
        (tag, folder),
    )
    model = next(each for each in models(connection) if each.tag == tag)
    before = _setting(connection, _MAKING)
    if before != model.number:
        _set(connection, _MAKING, model.number)
        if before is None:
            _set(connection, _ANSWERING, model.number)
        else:
            queue_all(connection)
    return model


def queue_all(connection: apsw.Connection) -> None:
    """Queue every node that shows."""
    connection.execute(
        "INSERT OR IGNORE INTO embedding_queue (node)"
        " SELECT id FROM node WHERE state = 1"
    )


def queue(connection: apsw.Connection, nodes: Iterable[int]) -> None:
    """Queue nodes whose text, or whether they show, may have changed."""
    connection.executemany(
        "INSERT OR IGNORE INTO embedding_queue (node) VALUES (?)",
        [(node,) for node in nodes],
    )


def queue_length(connection: apsw.Connection) -> int:
    """Return how many nodes wait."""
    rows: list[tuple[int]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT count(*) FROM embedding_queue"
    ).fetchall()
    return rows[0][0]


def waiting(connection: apsw.Connection, model: int, limit: int) -> list[Waiting]:
    """Return nodes of the queue, those with the greatest numbers first."""
    rows: list[tuple[int]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT node FROM embedding_queue ORDER BY node DESC LIMIT ?", (limit,)
    ).fetchall()
    found: list[Waiting] = []
    for (node,) in rows:
        text = text_of(connection, node)
        text_hash = _hash(text)
        row = connection.execute(
            "SELECT text_hash FROM vector WHERE id = ?", (_row(model, node),)
        ).fetchone()
        is_known = text is not None and row is not None and row[0] == text_hash
        found.append(Waiting(node, text, text_hash, is_known))
    return found


def text_of(connection: apsw.Connection, node: int) -> str | None:
    """Return what is embedded of a node: its label, and how its body begins."""
    row = connection.execute(
        "SELECT label, has_body FROM node WHERE id = ? AND state = 1", (node,)
    ).fetchone()
    if row is None:
        return None
    label, has_body = row
    if not has_body:
        return str(label)
    return f"{label}\n{load_body(connection, node, 1).text()[:BODY_CHARACTERS]}"


def keep(
    connection: apsw.Connection, model: int, made: Sequence[Made]
) -> tuple[list[int], list[Made]]:
    """Keep vectors of texts that still stand; in the caller's transaction.

    Returns the nodes that have no vector of the model any more, and what was kept.
    What has changed meanwhile stays queued.
    """
    numbers = [each.number for each in models(connection)]
    gone: list[int] = []
    kept: list[Made] = []
    done: list[tuple[int]] = []
    for each in made:
        text = text_of(connection, each.node)
        if _hash(text) != each.text_hash:
            continue
        done.append((each.node,))
        if text is None or each.vector == NO_VECTOR:
            gone.append(each.node)
        if text is None:
            rows = [(_row(number, each.node),) for number in numbers]
            connection.executemany("DELETE FROM vector WHERE id = ?", rows)
        elif each.vector is not None:
            kept.append(each)
    connection.executemany(
        "INSERT OR REPLACE INTO vector (id, text_hash, vector) VALUES (?, ?, ?)",
        [(_row(model, each.node), each.text_hash, each.vector) for each in kept],
    )
    connection.executemany("DELETE FROM embedding_queue WHERE node = ?", done)
    return gone, [each for each in kept if each.vector]


def settle(connection: apsw.Connection, model: int) -> bool:
    """Let `model` answer, now that nothing waits; drop some of what others made.

    Returns whether more is to be dropped.
    """
    _set(connection, _ANSWERING, model)
    bounds = (_row(model, 0), _row(model + 1, 0))
    connection.execute(
        "DELETE FROM vector WHERE id IN (SELECT id FROM vector"
        " WHERE id < ?1 OR id >= ?2 LIMIT ?3)",
        (*bounds, _AT_ONCE),
    )
    if connection.changes() == _AT_ONCE:
        return True
    connection.execute("DELETE FROM embedding_model WHERE id != ?", (model,))
    return False


def vector_of(connection: apsw.Connection, model: int, node: int) -> bytes | None:
    """Return the vector of a node, `NO_VECTOR` if it has none, None if not known."""
    row: tuple[bytes] | None = connection.execute(
        "SELECT vector FROM vector WHERE id = ?", (_row(model, node),)
    ).fetchone()
    return None if row is None else row[0]


def all_vectors(
    connection: apsw.Connection, model: int, after: int, limit: int
) -> tuple[list[int], bytes]:
    """Return the nodes behind `after` that have vectors, and these, in order."""
    rows: list[tuple[int, bytes]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
        "SELECT id, vector FROM vector WHERE id > ? AND id < ? AND vector != x''"
        " ORDER BY id LIMIT ?",
        (_row(model, after), _row(model + 1, 0), limit),
    ).fetchall()
    nodes = [row - _row(model, 0) for row, _ in rows]
    return nodes, b"".join(vector for _, vector in rows)


def _setting(connection: apsw.Connection, name: str) -> int | None:
    row: tuple[int] | None = connection.execute(
        "SELECT value FROM setting WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else row[0]


def _set(connection: apsw.Connection, name: str, value: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value)
    )


def _row(model: int, node: int) -> int:
    return model << _MODEL_SHIFT | node


def _hash(text: str | None) -> bytes:
    return b"" if text is None else hashlib.sha256(text.encode()).digest()[:16]
