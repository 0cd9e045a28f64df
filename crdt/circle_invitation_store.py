"""Tickets that this device gave out, in the store, by the hash of their secret.

Rule: everything here happens in the caller's transaction.
"""

from dataclasses import dataclass

import apsw

from crdt.circle_store import CIRCLE_NUMBER
from crdt.ids import CircleId


@dataclass(frozen=True, slots=True)
class StoredInvitation:
    """A ticket that was given out."""

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


def find_invitation(
    connection: apsw.Connection, circle: CircleId, secret_hash: bytes
) -> StoredInvitation | None:
    """Return a ticket of a circle, one that is used up or expired too."""
    row = connection.execute(
        "SELECT uses_left, expires_ms FROM circle_invitation"
        f" WHERE secret_hash = ? AND circle = {CIRCLE_NUMBER}",
        (secret_hash, circle),
    ).fetchone()
    if row is None:
        return None
    uses_left, expires_ms = row
    return StoredInvitation(circle, secret_hash, uses_left, expires_ms)


def write_invitation(connection: apsw.Connection, invitation: StoredInvitation) -> None:
    """Store a ticket as it is now; one that is used up stays, to be told."""
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


def drop_expired(connection: apsw.Connection, before_ms: int) -> None:
    """Drop the tickets of which the time was over before some time."""
    connection.execute(
        "DELETE FROM circle_invitation WHERE expires_ms <= ?", (before_ms,)
    )
