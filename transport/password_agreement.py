"""SPAKE2: a short common password becomes a long common key. All of spake2 is here.

Who listens learns nothing. Who takes part with a guess learns whether it was right,
and nothing else: each run is one guess. With different passwords both sides get keys,
but different ones, so what follows must begin by confirming them.

Specification: docs/protocol/pairing.md.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from spake2 import SPAKE2_A, SPAKE2_B  # type: ignore[import-untyped]  # it has none
from spake2.ed25519_basic import (  # type: ignore[import-untyped]  # it has none
    NotOnCurve,
)
from spake2.spake2 import SPAKEError  # type: ignore[import-untyped]  # it has none

from crdt.errors import MalformedError

AGREEMENT_BYTES: Final = 33
"""A letter for the side, and a point of the Ed25519 group."""
_JOINER: Final = b"fractality/1 joiner"
_INVITER: Final = b"fractality/1 inviter"

Randomness: TypeAlias = Callable[[int], bytes]
"""Returns that many fresh random bytes."""


class PasswordAgreement:
    """One side of one agreement: send `message`, then `finish` with the other's."""

    __slots__ = ("_agreement", "message")

    def __init__(
        self,
        side: Literal["joiner", "inviter"],
        password: bytes,
        randomness: Randomness,
    ) -> None:
        kind = SPAKE2_A if side == "joiner" else SPAKE2_B
        self._agreement = kind(password, _JOINER, _INVITER, entropy_f=randomness)
        self.message: Final[bytes] = self._agreement.start()
        """For the other side: 33 bytes."""

    def finish(self, message: bytes) -> bytes:
        """Return 32 bytes that the other side has, too, if its password is the same.

        May be called once. Raises `MalformedError` for what no honest side sends.
        """
        try:
            return bytes(self._agreement.finish(message))
        except (SPAKEError, NotOnCurve, ValueError):
            detail = "A message of a key agreement is not valid; it was dropped."
            raise MalformedError(detail) from None
