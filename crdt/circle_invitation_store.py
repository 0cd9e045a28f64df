"""Tickets that this device gave out, in the store, by the hash of their secret.

Rule: everything here happens in the caller's transaction.
"""

from dataclasses import dataclass

import apsw

from crdt.circle_store import CIRCLE_NUMBER
from crdt.ids import CircleId


@dataclass(frozen=True, slots=True)
class StoredInvitation:
    """A ticket that can still be used."""

    circle: CircleId
    secret_hash: bytes
    uses_left: int
    expires_ms: int


def read_invitations(connection: apsw.Connection) -> list[StoredInvitation]:
    """Return the tickets of all circles, the first to expire first."""
    return [
        StoredInvitation(CircleId(circle), secret_hash, uses_left, expires_ms)
        for circle, secret_hash, uses_left, expires_ms in connection.execute(
            "SELECT circle.id, secret_hash, uses_left, expires_ms"
            " FROM circle_invitation JOIN circle ON circle.number = circle"
            " ORDER BY expires_ms, secret_hash"
        )
    ]


def write_invitation(connection: apsw.Connection, invitation: StoredInvitation) -> None:
    """Store a ticket as it is now; one without uses left goes."""
    if invitation.uses_left < 1:
        connection.execute(
            "DELETE FROM circle_invitation WHERE secret_hash = ?",
            (invitation.secret_hash,),
        )
        return
    connection.execute(
        "INSERT OR REPLACE INTO circle_invitation"
        " (secret_hash, circle, uses_left, expires_ms)"
        f" VALUES (?, {CIRCLE_NUMBER}, ?, ?)",
        (
            invitation.secret_hash,
            invitation.circle,
            invitation.uses_left,
            invitation.expires_ms,
        ),
    )


def drop_expired(connection: apsw.Connection, now_ms: int) -> None:
    """Drop the tickets of which the time is over."""
    connection.execute("DELETE FROM circle_invitation WHERE expires_ms <= ?", (now_ms,))
