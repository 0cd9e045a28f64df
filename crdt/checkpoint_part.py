"""Parts of a checkpoint: the whole state of a graph, sealed and signed by its giver.

Specification: docs/protocol/checkpoint.md. Rules of this file:

1. One content has one encoding, as with envelopes, and a key seals one part only.
2. Order of checks on arrival: `decode_part`, membership of the giver, place, `verify`,
   `open_part`.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crdt.envelope import HASH_BYTES, MAX_ENVELOPE_BYTES, MAX_SEQUENCE, SALT_BYTES
from crdt.errors import ForgedError, InvalidError, MalformedError
from crdt.ids import SHARD_COUNT, DeviceId, SpaceId
from crdt.keys import (
    SIGNATURE_BYTES,
    Domain,
    SigningKey,
    derive,
    device_id,
    verify_signature,
)
from crdt.payload import (
    MAX_CHANGES,
    MAX_PAYLOAD_BYTES,
    Change,
    check_changes,
    expand,
    shrink,
)
from crdt.space_keys import EpochKey

VERSION: Final = 1
MAX_PART_BYTES: Final = MAX_ENVELOPE_BYTES
MAX_PARTS: Final = 2**31 - 1
MAX_HEADS: Final = 4096
MAX_FORMER_CLIENTS: Final = 1024
CHECKPOINT_ID_BYTES: Final = 16
_NONCE: Final = bytes(12)
_ARRAY_OF_NINE: Final = b"\x99"
_SIGNATURE_FIELD_BYTES: Final = 2 + SIGNATURE_BYTES

_Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Salt: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)
]
_Hash: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)
]
_Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_ClientId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]


class _Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    space: _Id
    giver: _Id
    checkpoint: _Id
    number: Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTS)]
    epoch_key_id: _Id
    salt: _Salt
    sealed: bytes
    signature: _Signature


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last envelope of a device that a checkpoint covers."""

    device: _Id
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
    hash: _Hash


class Header(
    msgspec.Struct, frozen=True, array_like=True, tag=0, forbid_unknown_fields=True
):
    """The first part: what the checkpoint covers, and how much is to come."""

    heads: Annotated[tuple[Head, ...], msgspec.Meta(max_length=MAX_HEADS)]
    nodes: _Count
    edges: _Count
    shards: Annotated[int, msgspec.Meta(ge=0, le=SHARD_COUNT)]
    """How many shards will come."""
    former_clients: Annotated[
        tuple[_ClientId, ...], msgspec.Meta(max_length=MAX_FORMER_CLIENTS)
    ]
    """Yjs client ids of devices from before there was a roster."""


class Piece(
    msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True
):
    """Some of the state: changes that together make it."""

    changes: Annotated[
        tuple[Change, ...], msgspec.Meta(min_length=1, max_length=MAX_CHANGES)
    ]


class End(
    msgspec.Struct, frozen=True, array_like=True, tag=2, forbid_unknown_fields=True
):
    """The last part: whoever has all before it holds what the header says."""


Content: TypeAlias = Header | Piece | End


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where a part belongs; readable by all who carry it."""

    space: SpaceId
    giver: DeviceId
    checkpoint: bytes
    """16 random bytes, the same in all parts of one checkpoint."""
    number: int
    epoch_key_id: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A part that decodes; until `verify_part` nobody knows who wrote it."""

    place: PartPlace
    salt: bytes
    sealed: bytes
    signature: bytes
    encoded: bytes


def seal_part(
    place: PartPlace,
    content: Content,
    epoch: EpochKey,
    device_key: SigningKey,
    salt: bytes,
) -> bytes:
    """Return the part that carries `content`; `salt` is 32 fresh random bytes.

    Raises `InvalidError` if it is more than a part may hold.
    """
    clear = _clear_part(place, salt)
    plain = msgspec.msgpack.encode(content)
    sealed = AESGCM(_part_key(place, epoch, salt)).encrypt(_NONCE, shrink(plain), clear)
    signed = clear + msgspec.msgpack.encode(sealed)
    size = len(signed) + _SIGNATURE_FIELD_BYTES
    if len(plain) > MAX_PAYLOAD_BYTES or size > MAX_PART_BYTES:
        raise InvalidError("checkpoint", "a part holds more than it may")
    signature = device_key.sign(Domain.CHECKPOINT, signed)
    return signed + msgspec.msgpack.encode(signature)


def decode_part(encoded: bytes) -> Part:
    """Return the part that `encoded` is the only valid encoding of.

    No cryptography. Raises `MalformedError`.
    """
    if len(encoded) > MAX_PART_BYTES:
        message = "A part of a checkpoint is larger than allowed; it was dropped."
        raise MalformedError(message)
    try:
        wire = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_NO_FORMAT) from None
    if msgspec.msgpack.encode(wire) != encoded:
        raise MalformedError(_NO_FORMAT)
    place = PartPlace(
        SpaceId(wire.space),
        DeviceId(wire.giver),
        wire.checkpoint,
        wire.number,
        wire.epoch_key_id,
    )
    return Part(place, wire.salt, wire.sealed, wire.signature, encoded)


def verify_part(part: Part, giver_public_key: bytes) -> None:
    """Raise `ForgedError` unless the owner of the key wrote the part."""
    if device_id(giver_public_key) != part.place.giver:
        message = "A part of a checkpoint names another device than its signer."
        raise ForgedError(message)
    signed = part.encoded[:-_SIGNATURE_FIELD_BYTES]
    verify_signature(Domain.CHECKPOINT, giver_public_key, part.signature, signed)


def open_part(part: Part, epoch: EpochKey) -> Content:
    """Return what a verified part carries; the first is a header, no other is.

    Raises `ForgedError` or `MalformedError`.
    """
    place = part.place
    if place.epoch_key_id != epoch.id:
        message = "A part of a checkpoint names another epoch key than is tried on it."
        raise ForgedError(message)
    try:
        padded = AESGCM(_part_key(place, epoch, part.salt)).decrypt(
            _NONCE, part.sealed, _clear_part(place, part.salt)
        )
    except InvalidTag:
        message = "A part of a checkpoint does not open with the key it names."
        raise ForgedError(message) from None
    try:
        content: Content = _CONTENT_DECODER.decode(expand(padded))
        if isinstance(content, Piece):
            check_changes(content.changes)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidError):
        raise MalformedError(_NO_FORMAT) from None
    if isinstance(content, Header) != (place.number == 0):
        raise MalformedError(_NO_FORMAT)
    return content


def _clear_part(place: PartPlace, salt: bytes) -> bytes:
    encode = msgspec.msgpack.encode
    return _ARRAY_OF_NINE + b"".join(
        (
            encode(VERSION),
            encode(place.space),
            encode(place.giver),
            encode(place.checkpoint),
            encode(place.number),
            encode(place.epoch_key_id),
            encode(salt),
        )
    )


def _part_key(place: PartPlace, epoch: EpochKey, salt: bytes) -> bytes:
    context = place.space + place.giver + place.checkpoint + place.number.to_bytes(8)
    return derive(epoch.secret, "checkpoint key", context=context, salt=salt)


_NO_FORMAT: Final = "A part of a checkpoint does not follow its format; it was dropped."
_DECODER: Final = msgspec.msgpack.Decoder(_Wire)
_CONTENT_DECODER: Final = msgspec.msgpack.Decoder(Content)
