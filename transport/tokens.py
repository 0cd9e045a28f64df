"""Tokens: names under which devices of one space know each other on a network.

Specification: docs/protocol/discovery.md. Rules of this file:

1. A token says nothing to who lacks the secret: not which device, not which space.
2. The secret follows the epoch. Who was removed can make no token of those that stay.
3. A token proves nothing. It leads to an address, and signalling does the rest.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crdt.ids import DeviceId
from crdt.keys import derive
from crdt.space_keys import SpaceKeys

TOKEN_BYTES: Final = 16
SLOT_MS: Final = 60 * 60 * 1000
"""How long a device shows one token."""
ACCEPTED_SLOTS: Final = (0, -1, 1)
"""Slots beside the present one whose tokens are known: clocks differ."""
MAX_EPOCHS: Final = 4
"""So many newest epochs are recognized: a device may not have heard of the present."""
_LABEL: Final = "discovery"
_CONTEXT: Final = b"fractality/1 discovery token\0"


@dataclass(frozen=True, slots=True)
class Ring:
    """Who may be recognized, and by which secrets."""

    me: DeviceId
    others: frozenset[DeviceId]
    """The members of the space that are not removed, without this device."""
    secrets: tuple[bytes, ...]
    """The discovery secrets of the newest epochs, the present one first."""

    def __repr__(self) -> str:
        return f"<Ring of {len(self.others)} others>"


def ring(me: DeviceId, members: Iterable[DeviceId], keys: SpaceKeys) -> Ring:
    """Return by which a device of the space knows the `members`."""
    newest = reversed(keys.epochs[-MAX_EPOCHS:])
    secrets = tuple(derive(epoch.secret, _LABEL) for epoch in newest)
    return Ring(me, frozenset(members) - {me}, secrets)


def slot_at(now_ms: int) -> int:
    """Return the number of the slot at a time, in milliseconds since 1970."""
    return max(now_ms, 0) // SLOT_MS


def slot_ends_ms(slot: int) -> int:
    """Return when the slot is over, in milliseconds since 1970."""
    return (slot + 1) * SLOT_MS


def token(secret: bytes, device: DeviceId, slot: int) -> bytes:
    """Return what `device` is called during `slot` by who holds the secret."""
    message = _CONTEXT + device + slot.to_bytes(8)
    return hmac.digest(secret, message, hashlib.sha256)[:TOKEN_BYTES]


def own_token(known: Ring, slot: int) -> bytes:
    """Return the token that this device shows during `slot`."""
    return token(known.secrets[0], known.me, slot)


def expected_tokens(known: Ring, slot: int) -> Mapping[bytes, DeviceId]:
    """Return every token that may be met during `slot`, and whose it is."""
    slots: Sequence[int] = [slot + each for each in ACCEPTED_SLOTS if slot + each >= 0]
    return {
        token(secret, device, each): device
        for secret in known.secrets
        for device in known.others
        for each in slots
    }
