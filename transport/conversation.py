"""What both sides of one attempt to pair have said, and the keys that follow from it.

Specification: docs/protocol/pairing.md. Rule: every key depends on the agreed key and
on all that was said before, so that who changes, leaves out or repeats a message holds
another key than the other side.
"""

import hashlib
import hmac
from typing import Final, Literal, TypeAlias

from crdt.errors import ForgedError
from crdt.keys import derive
from crdt.sealed_box import open_once, seal_once

Side: TypeAlias = Literal["joiner", "inviter"]
_BEGINNING: Final = hashlib.sha256(b"fractality/1 pairing\0").digest()


class Conversation:
    """One attempt, as one side sees it."""

    __slots__ = ("_key", "_transcript")

    def __init__(self) -> None:
        self._transcript = _BEGINNING
        self._key = b""

    def agree(self, key: bytes) -> None:
        """Take the key of the password agreement: not yet known to be common."""
        self._key = key

    def add(self, part: bytes) -> None:
        """Note that `part` was said, by whichever side."""
        whole = self._transcript + hashlib.sha256(part).digest()
        self._transcript = hashlib.sha256(whole).digest()

    def confirmation(self, side: Side) -> bytes:
        """Return the proof by which `side` shows that it has the key, here and now."""
        key = derive(self._key, f"pairing confirmation of the {side}")
        return hmac.digest(key, self._transcript, "sha256")

    def confirms(self, side: Side, confirmation: bytes) -> bool:
        """Whether `side` has shown that it has the key."""
        return hmac.compare_digest(self.confirmation(side), confirmation)

    def seal(self, side: Side, plain: bytes) -> bytes:
        """Return `plain` sealed by `side`: once only before something is added."""
        return seal_once(self._box_key(side), plain)

    def open(self, side: Side, sealed: bytes) -> bytes:
        """Return what `side` sealed, or raise `ForgedError`."""
        if not self._key:
            detail = "Something sealed came before a key was agreed; it was dropped."
            raise ForgedError(detail)
        return open_once(self._box_key(side), sealed)

    def _box_key(self, side: Side) -> bytes:
        return derive(self._key, f"pairing box of the {side}", context=self._transcript)
