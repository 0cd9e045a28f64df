"""Who a person, and each of their devices, is in a circle, and the circle's keys.

Specification: docs/protocol/keys.md. Rules of this file:

1. All of it follows from the person's or the device's secrets and the circle alone, so
   all devices of a person are one member, and nobody else can tell that members of two
   circles are one person, or that two devices are.
2. Only the statement that founds a circle can make it this person's: in no two circles
   one person has one key.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.errors import DamagedError
from crdt.identity import Identity
from crdt.ids import AuthorKey, CircleId, NodeKey, SpaceId
from crdt.keys import Confidential, SigningKey, derive
from crdt.space_keys import EPOCH_KEY_ID_BYTES, EpochKey
from crdt.statement import Statement
from crdt.statement_kinds import CIRCLE_CLIENT_ID

CIRCLE_SPACE_BYTES: Final = 16
REFERENCE_BYTES: Final = 16

_CircleId: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Space: TypeAlias = Annotated[
    bytes,
    msgspec.Meta(min_length=CIRCLE_SPACE_BYTES, max_length=CIRCLE_SPACE_BYTES),
]


class CircleKeys(
    Confidential, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """The epoch keys of a circle, as far as this device has them."""

    version: Literal[1]
    circle_id: _CircleId
    space_id: _Space
    """Random bytes in all statements of the circle."""
    present: Annotated[bytes, msgspec.Meta(max_length=EPOCH_KEY_ID_BYTES)]
    """Id of the epoch to seal under, whether this device has its key or not; empty
    before it knows any."""
    epochs: tuple[EpochKey, ...]
    """Those that this device has: none before it was given any."""

    @property
    def circle(self) -> CircleId:
        """Id of the circle."""
        return CircleId(self.circle_id)

    @property
    def space(self) -> SpaceId:
        """What stands in the circle's statements where others have their space."""
        return SpaceId(self.space_id)

    @property
    def present_epoch(self) -> EpochKey | None:
        """The epoch to seal under, or None while this device lacks its key."""
        return self.epoch(self.present)

    def epoch(self, key_id: bytes) -> EpochKey | None:
        """Return the epoch key with this id, or None if this device lacks it."""
        return next((epoch for epoch in self.epochs if epoch.id == key_id), None)


@dataclass(frozen=True, slots=True)
class CircleIdentity:
    """Who a person is in one circle, and who this device is there."""

    circle: CircleId
    author: Identity
    """Signs and opens as the person, the same on all of the person's devices."""
    device: Identity
    """Signs and opens as this device, on links and cards."""
    reference_secret: bytes

    def __repr__(self) -> str:
        return "<CircleIdentity>"

    @property
    def author_key(self) -> AuthorKey:
        """The pseudonym."""
        return AuthorKey(self.author.public_key)

    def reference(self, node_key: NodeKey) -> bytes:
        """Return under which name a node is published in this circle."""
        return reference(self.reference_secret, node_key)


def circle_identity(
    identity: Identity, founding: Statement, alias: str | None = None
) -> CircleIdentity:
    """Return who the person and device of `identity` are in a founded circle."""
    circle = CircleId(founding.hash)
    founder = founder_identity(identity, founding.space, alias)
    if founder.public_key == founding.author_key:
        author = founder
    else:
        secret = derive(identity.person_secret, "circle author", context=circle)
        author = _person(secret, alias)
    return CircleIdentity(
        circle=circle,
        author=author,
        device=circle_device_identity(identity, circle, author),
        reference_secret=derive(author.person_secret, "circle reference"),
    )


def founder_identity(
    identity: Identity, space: SpaceId, alias: str | None = None
) -> Identity:
    """Return who a person is in a circle that they are about to found.

    `space` is 16 fresh random bytes.
    """
    secret = derive(identity.person_secret, "circle founder", context=space)
    return _person(secret, alias)


def circle_device_identity(
    identity: Identity, circle: CircleId, author: Identity
) -> Identity:
    """Return who a device is in a circle: nothing of it shows which device it is."""
    signing = derive(identity.signing_seed, "circle device signing key", context=circle)
    return msgspec.structs.replace(
        author,
        signing_seed=signing,
        public_key=SigningKey(signing).public_key,
        hpke_seed=derive(identity.hpke_seed, "circle device HPKE key", context=circle),
    )


def default_alias(author: bytes) -> str:
    """Return how a member is called who chose no alias."""
    return f"member-{author.hex()[:4]}"


def reference(secret: bytes, node_key: NodeKey) -> bytes:
    """Return 16 bytes that name a node to others and tell nothing of its key."""
    return hmac.digest(secret, node_key.encode(), sha256)[:REFERENCE_BYTES]


def no_circle_keys(circle: CircleId, space: SpaceId) -> CircleKeys:
    """Return the keys of who was given none yet."""
    return CircleKeys(
        version=1, circle_id=circle, space_id=space, present=b"", epochs=()
    )


def encode_circle_keys(keys: CircleKeys) -> bytes:
    """Return the record that the encrypted store keeps."""
    return msgspec.msgpack.encode(keys)


def decode_circle_keys(record: bytes) -> CircleKeys:
    """Return the keys of a record, or raise `DamagedError`."""
    try:
        return _DECODER.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "The keys of a circle cannot be read from the store: restore a backup."
        raise DamagedError(detail) from None


def _person(secret: bytes, alias: str | None) -> Identity:
    signing = derive(secret, "circle signing key")
    public_key = SigningKey(signing).public_key
    name = default_alias(public_key) if alias is None else alias
    return Identity(
        person_name=name,
        device_name=name,
        person_public_key=public_key,
        person_secret=secret,
        signing_seed=signing,
        public_key=public_key,
        hpke_seed=derive(secret, "circle HPKE key"),
        client_id=CIRCLE_CLIENT_ID,
        enrolment=None,
    )


_DECODER: Final = msgspec.msgpack.Decoder(CircleKeys)
