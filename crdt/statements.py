"""The statements of a space's roster in the store."""

from collections.abc import Iterable

import apsw

from crdt.space_keys import SpaceKeys, encode_space_keys
from crdt.statement import Statement, decode_statement


def read_statements(connection: apsw.Connection) -> list[Statement]:
    """Return every statement that the store holds."""
    return [
        decode_statement(encoded)
        for (encoded,) in connection.execute("SELECT encoded FROM statement")
    ]


def write_statements(
    connection: apsw.Connection, statements: Iterable[Statement]
) -> None:
    """Store statements, in the caller's transaction."""
    connection.executemany(
        "INSERT OR IGNORE INTO statement (hash, encoded) VALUES (?, ?)",
        [(statement.hash, statement.encoded) for statement in statements],
    )


def write_keys(connection: apsw.Connection, keys: SpaceKeys) -> None:
    """Store the keys of the space, in the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO setting (name, value) VALUES ('space_keys', ?)",
        (encode_space_keys(keys),),
    )
