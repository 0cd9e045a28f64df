"""Whether a person paused synchronising, kept from run to run."""

import apsw


def read_pause(connection: apsw.Connection) -> bool:
    """Whether it is paused."""
    query = "SELECT 1 FROM setting WHERE name = 'paused'"
    return connection.execute(query).fetchone() is not None


def write_pause(connection: apsw.Connection, *, is_paused: bool) -> None:
    """Store whether it is, in the caller's transaction."""
    connection.execute("DELETE FROM setting WHERE name = 'paused'")
    if is_paused:
        connection.execute("INSERT INTO setting (name, value) VALUES ('paused', x'01')")
