"""Tickets: what a browser shows instead of the token where it can set no header.

A ticket opens one path for an hour, as often as its holder likes: a connection that
breaks off is made again with it. Rules of this file:

1. `now_ms` and randomness come from outside.
2. A ticket is kept as its hash only, and compared in constant time.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

LIFE_MS: Final = 3600 * 1000
MAX_TICKETS: Final = 1024
"""Beyond it the oldest goes: a page that asks too often only shortens its own."""
_TICKET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket on its way to whoever asked for it."""

    secret: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class _Issued:
    digest: bytes
    path: str
    expires_ms: int


class Tickets:
    """The tickets that are good now."""

    def __init__(self, randomness: Callable[[int], bytes]) -> None:
        self._randomness = randomness
        self._issued: deque[_Issued] = deque(maxlen=MAX_TICKETS)

    def issue(self, path: str, now_ms: int) -> Ticket:
        """Return a new ticket for a path, which may be percent-encoded or not."""
        secret = urlsafe_b64encode(self._randomness(_TICKET_BYTES)).decode().rstrip("=")
        ticket = Ticket(secret, now_ms + LIFE_MS)
        self._issued.append(_Issued(_digest(secret), unquote(path), ticket.expires_ms))
        return ticket

    def admits(self, secret: str, path: str, now_ms: int) -> bool:
        """Whether `secret` is a ticket for this path that has not expired."""
        given, wanted = _digest(secret), unquote(path)
        is_good = False
        for each in self._issued:
            is_same = hmac.compare_digest(each.digest, given)
            is_good |= is_same and each.path == wanted and now_ms < each.expires_ms
        return is_good


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
