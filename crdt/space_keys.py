"""The secrets of one space, and the record that keeps them in the encrypted store.

Specification: docs/protocol/keys.md.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.errors import DamagedError
from crdt.ids import SpaceId
from crdt.keys import KEY_BYTES, Confidential, derive

EPOCH_KEY_ID_BYTES: Final = 16

Secret: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
_Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class EpochKey(Confidential, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The secret key of one epoch; made by `epoch_key` so that the id fits the key."""

    id: _Id
    """Derived from the key: two devices that use one id hold the same key."""
    secret: Secret


class SpaceKeys(Confidential, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that a device needs to read and write a space."""

    version: Literal[1]
    space_id: _Id
    shard_secret: Secret
    """Places nodes in shards; never changes, for nodes cannot move."""
    digest_key: Secret
    """Keys the multiset hash by which devices compare what they show."""
    epochs: Annotated[tuple[EpochKey, ...], msgspec.Meta(min_length=1)]
    """Every epoch so far, the present one last."""

    @property
    def space(self) -> SpaceId:
        """Id of the space."""
        return SpaceId(self.space_id)

    @property
    def present_epoch(self) -> EpochKey:
        """The epoch under which new envelopes are sealed."""
        return self.epochs[-1]

    def epoch(self, key_id: bytes) -> EpochKey | None:
        """Return the epoch key with this id, or None if this device lacks it."""
        return next((epoch for epoch in self.epochs if epoch.id == key_id), None)


def epoch_key(secret: bytes) -> EpochKey:
    """Return `secret` (32 random bytes) as an epoch key under its id."""
    return EpochKey(derive(secret, "epoch key id")[:EPOCH_KEY_ID_BYTES], secret)


def new_space_keys(randomness: bytes) -> SpaceKeys:
    """Return the keys of a new space, all derived from 32 random bytes.

    The caller forgets `randomness` afterwards: it would open every secret here.
    """
    return SpaceKeys(
        version=1,
        space_id=derive(randomness, "space id")[:16],
        shard_secret=derive(randomness, "shard secret"),
        digest_key=derive(randomness, "digest key"),
        epochs=(epoch_key(derive(randomness, "first epoch key")),),
    )


def encode_space_keys(keys: SpaceKeys) -> bytes:
    """Return the record that the encrypted store keeps."""
    return msgspec.msgpack.encode(keys)


def decode_space_keys(record: bytes) -> SpaceKeys:
    """Return the keys of a record, or raise `DamagedError`."""
    try:
        return _DECODER.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "The keys of a space cannot be read from the store: restore a backup."
        raise DamagedError(detail) from None


_DECODER: Final = msgspec.msgpack.Decoder(SpaceKeys)
