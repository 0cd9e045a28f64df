"""What can be stated about who belongs to a space or circle.

Specification: docs/protocol/roster.md, circle-roster.md. Each kind has a number, its
tag; limits of sizes and counts are part of the types, so that they hold before anything
else looks.
"""

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.chain import ChainHead
from crdt.envelope import HASH_BYTES, MAX_SEQUENCE
from crdt.identity import ClientId, Enrolment
from crdt.keys import (
    KEY_BYTES,
    SEALED_KEY_BYTES,
    SIGNATURE_BYTES,
    WRAPPED_KEY_BYTES,
)

MAX_RECIPIENTS: Final = 256
"""To how many devices one statement seals a key, so how many may be able to read."""
CIRCLE_CLIENT_ID: Final = 1
"""Stands for persons of a circle where a device of a space has its client id."""
MAX_KEYS: Final = 64
"""How many epoch keys one statement hands over."""

Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Hash: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)
]
PublicKey: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
]
_SealedKey: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SEALED_KEY_BYTES, max_length=SEALED_KEY_BYTES)
]
_WrappedKey: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=WRAPPED_KEY_BYTES, max_length=WRAPPED_KEY_BYTES)
]


class Role(StrEnum):
    """What a device may do; each may also what those below it may."""

    ADMIN = "admin"
    """State who belongs to the space."""
    WRITER = "writer"
    """Change the graph."""
    READER = "reader"
    """Hold the keys."""
    RELAY = "relay"
    """Store and pass on what it cannot read."""

    @property
    def may_write(self) -> bool:
        """Whether a device with this role seals envelopes that others accept."""
        return self in {Role.ADMIN, Role.WRITER}

    @property
    def may_read(self) -> bool:
        """Whether a device with this role is given keys."""
        return self is not Role.RELAY


class Epoch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The start of an epoch: its key for those who remain, and the way back."""

    id: Id
    sealed: Annotated[
        tuple[tuple[Id, _SealedKey], ...], msgspec.Meta(max_length=MAX_RECIPIENTS)
    ]
    """(device, the epoch's key sealed to it), by device."""
    previous: Annotated[
        tuple[tuple[Id, _WrappedKey], ...], msgspec.Meta(max_length=MAX_KEYS)
    ]
    """(id of an earlier epoch, its key sealed under this one's), by id."""


class Enrol(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0
):
    """The author adds itself by its person's word; without parents it founds."""

    enrolment: Enrolment
    client_id: ClientId
    name: str
    epoch: Epoch | None
    """The first epoch if this founds the roster, else None."""


class Add(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1
):
    """A new device, which agrees."""

    public_key: PublicKey
    hpke_key: PublicKey
    client_id: ClientId
    name: str
    role: Role
    consent: Signature
    """By the device, over `consent_message`."""


class Remove(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2
):
    """A device leaves for good; those who remain get a new key."""

    device: Id
    cut_sequence: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]
    """The last of its envelopes that is still accepted, 0 for none."""
    cut_hash: Hash
    epoch: Epoch

    @property
    def cut(self) -> ChainHead:
        """The last envelope that is still accepted."""
        return ChainHead(self.cut_sequence, self.cut_hash)


class Rotate(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3
):
    """A new epoch though nobody leaves."""

    epoch: Epoch


class Grant(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4
):
    """Keys of epochs for a device that was not there when they began."""

    device: Id
    keys: Annotated[
        tuple[tuple[Id, _SealedKey], ...],
        msgspec.Meta(min_length=1, max_length=MAX_KEYS),
    ]
    """(epoch, its key sealed to the device), by epoch."""


class ExtendCut(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5
):
    """More of a removed device's envelopes are accepted: the author holds them."""

    device: Id
    cut_sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
    cut_hash: Hash

    @property
    def cut(self) -> ChainHead:
        """The last envelope that is accepted now."""
        return ChainHead(self.cut_sequence, self.cut_hash)


class Rename(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6
):
    """A device is called otherwise from now on."""

    device: Id
    name: str


class Found(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7
):
    """The author begins a circle and is its first member."""

    name: str
    preset: Annotated[int, msgspec.Meta(ge=0, le=1)]
    """By which numbers it is found what resonates: 0 strict, 1 broad."""
    alias: str
    hpke_key: PublicKey
    epoch: Epoch


class Vouch(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=8
):
    """A member is somebody of their own, whoever invited them."""

    member: Id


class Leave(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=9
):
    """The author goes, for good."""


Body: TypeAlias = (
    Enrol | Add | Remove | Rotate | Grant | ExtendCut | Rename | Found | Vouch | Leave
)
