"""Sealing batches of items to those who are in a circle.

Specification: docs/protocol/circle-seal.md. Rule: each batch has a key of its own,
derived from the epoch's key, the circle and a random salt, so no nonce can repeat.
"""

from typing import Final

from crdt.circle_keys import CircleKeys
from crdt.errors import ConflictError, MalformedError, PeerError
from crdt.ids import CircleId
from crdt.keys import derive
from crdt.sealed_box import open_once, seal_once
from crdt.space_keys import EPOCH_KEY_ID_BYTES, EpochKey

VERSION: Final = 1
SALT_BYTES: Final = 32
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = 1 + EPOCH_KEY_ID_BYTES + SALT_BYTES + TAG_BYTES
MAX_SEALED_BYTES: Final = 256 * 1024
_SALT_AT: Final = 1 + EPOCH_KEY_ID_BYTES
_BOX_AT: Final = _SALT_AT + SALT_BYTES


class MissingEpochError(PeerError):
    """A batch is sealed under a key that this device was not given, or not yet."""

    def __init__(self, key_id: bytes) -> None:
        super().__init__("A batch is sealed under a key that this device lacks.")
        self.key_id = key_id


def seal_items(
    keys: CircleKeys, circle: CircleId, plain: bytes, randomness: bytes
) -> bytes:
    """Return `plain` sealed under the key of the present epoch.

    `randomness` is 32 fresh random bytes. Raises `ConflictError` if this device lacks
    that key, for who is gone may have an older one, or if the batch would be too large.
    """
    epoch = keys.present_epoch
    if epoch is None:
        message = "This device was not given the circle's key yet: nothing is sent."
        raise ConflictError(message)
    if len(randomness) != SALT_BYTES:
        msg = f"a batch takes {SALT_BYTES} random bytes"
        raise ValueError(msg)
    if len(plain) + OVERHEAD_BYTES > MAX_SEALED_BYTES:
        raise ConflictError("A batch of items is too large to be sealed in one.")
    box = seal_once(_box_key(epoch, circle, randomness), plain)
    return bytes([VERSION]) + epoch.id + randomness + box


def open_items(keys: CircleKeys, circle: CircleId, sealed: bytes) -> bytes:
    """Return what was sealed.

    Raises `MissingEpochError` for a key that this device lacks, `MalformedError` for
    what is no batch, `ForgedError` for one that was changed or is another circle's.
    """
    if not OVERHEAD_BYTES <= len(sealed) <= MAX_SEALED_BYTES:
        detail = "A sealed batch is shorter or longer than allowed; it was dropped."
        raise MalformedError(detail)
    if sealed[0] != VERSION:
        detail = "A sealed batch is of another version: update to read it."
        raise MalformedError(detail)
    key_id, salt = sealed[1:_SALT_AT], sealed[_SALT_AT:_BOX_AT]
    epoch = keys.epoch(key_id)
    if epoch is None:
        raise MissingEpochError(key_id)
    return open_once(_box_key(epoch, circle, salt), sealed[_BOX_AT:])


def _box_key(epoch: EpochKey, circle: CircleId, salt: bytes) -> bytes:
    return derive(epoch.secret, "circle items", context=circle, salt=salt)
