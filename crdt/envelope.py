"""Envelopes: signed and sealed batches of changes, the only thing stored and sent.

Specification: docs/protocol/envelope.md. Rules of this file:

1. One content has one encoding; bytes that decode re-encode to themselves, so that
   hashes and signatures over bytes are hashes and signatures over values.
2. A key seals one envelope only: it is derived from a fresh random salt, and from the
   place of the envelope. Hence the nonce can be constant.
3. Order of checks on arrival: `decode`, membership (the roster's), `check_next`,
   `verify`, `open_payload`. None is costly before those that are cheap have passed.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crdt.errors import ForgedError, InvalidError, MalformedError
from crdt.ids import DeviceId, SpaceId
from crdt.keys import (
    SIGNATURE_BYTES,
    Domain,
    SigningKey,
    derive,
    device_id,
    verify_signature,
)
from crdt.payload import Change, decode_payload, encode_payload
from crdt.space_keys import EpochKey

VERSION: Final = 1
MAX_ENVELOPE_BYTES: Final = 6 * 1024 * 1024
MAX_SEQUENCE: Final = 2**63 - 1
SALT_BYTES: Final = 32
HASH_BYTES: Final = 32
NO_HASH: Final = bytes(HASH_BYTES)
"""Stands for the predecessor of a device's first envelope."""
_NONCE: Final = bytes(12)
_ARRAY_OF_NINE: Final = b"\x99"
_SIGNATURE_FIELD_BYTES: Final = 2 + SIGNATURE_BYTES

_Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
]


class _Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    space: _Id
    device: _Id
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCE)]
    previous: _Bytes32
    epoch_key_id: _Id
    salt: _Bytes32
    sealed: bytes
    signature: _Signature


@dataclass(frozen=True, slots=True)
class Header:
    """The place of an envelope; readable by all who carry it."""

    space: SpaceId
    device: DeviceId
    sequence: int
    """Counts this device's envelopes in this space from 1."""
    previous: bytes
    """Hash of the device's envelope before this one, `NO_HASH` for the first."""
    epoch_key_id: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope that decodes; until `verify` nobody knows who wrote it."""

    header: Header
    salt: bytes
    sealed: bytes
    """Ciphertext and tag."""
    signature: bytes
    encoded: bytes
    """The very bytes it was decoded from."""


def seal(
    header: Header,
    changes: tuple[Change, ...],
    epoch: EpochKey,
    device_key: SigningKey,
    salt: bytes,
) -> bytes:
    """Return the envelope that carries `changes`.

    `salt` is 32 fresh random bytes; to use one twice would give two contents the same
    key. Raises `InvalidError` if the changes exceed what one envelope may hold.
    """
    if header.epoch_key_id != epoch.id or len(salt) != SALT_BYTES:
        msg = "the header names another epoch key, or the salt is not 32 bytes"
        raise ValueError(msg)
    clear = _clear_part(header, salt)
    payload = encode_payload(changes)
    sealed = AESGCM(_envelope_key(header, epoch, salt)).encrypt(_NONCE, payload, clear)
    signed = clear + msgspec.msgpack.encode(sealed)
    if len(signed) + _SIGNATURE_FIELD_BYTES > MAX_ENVELOPE_BYTES:
        detail = f"must fit an envelope of {MAX_ENVELOPE_BYTES // 2**20} MiB"
        raise InvalidError("changes", detail)
    signature = device_key.sign(Domain.ENVELOPE, signed)
    return signed + msgspec.msgpack.encode(signature)


def decode(encoded: bytes) -> Envelope:
    """Return the envelope that `encoded` is the only valid encoding of.

    No cryptography. Raises `MalformedError`.
    """
    if len(encoded) > MAX_ENVELOPE_BYTES:
        detail = "An envelope is larger than allowed; it was dropped."
        raise MalformedError(detail)
    try:
        wire = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_complaint(encoded)) from None
    if msgspec.msgpack.encode(wire) != encoded:
        detail = "An envelope is not in its only valid encoding; it was dropped."
        raise MalformedError(detail)
    if (wire.sequence == 1) != (wire.previous == NO_HASH):
        detail = "An envelope contradicts itself about being the first; it was dropped."
        raise MalformedError(detail)
    header = Header(
        space=SpaceId(wire.space),
        device=DeviceId(wire.device),
        sequence=wire.sequence,
        previous=wire.previous,
        epoch_key_id=wire.epoch_key_id,
    )
    return Envelope(header, wire.salt, wire.sealed, wire.signature, encoded)


def verify(envelope: Envelope, device_public_key: bytes) -> None:
    """Raise `ForgedError` unless the owner of the key wrote the envelope."""
    if device_id(device_public_key) != envelope.header.device:
        detail = "An envelope names another device than its signer; it was dropped."
        raise ForgedError(detail)
    signed = envelope.encoded[:-_SIGNATURE_FIELD_BYTES]
    verify_signature(Domain.ENVELOPE, device_public_key, envelope.signature, signed)


def open_payload(envelope: Envelope, epoch: EpochKey) -> tuple[Change, ...]:
    """Return the changes of a verified envelope.

    Raises `ForgedError` if it was not sealed under this epoch key for this place, and
    `MalformedError` if what comes out breaks the rules of a payload.
    """
    header, salt = envelope.header, envelope.salt
    if header.epoch_key_id != epoch.id:
        # AES-GCM alone would let one ciphertext open under two chosen keys.
        detail = "An envelope names another epoch key than the one tried on it."
        raise ForgedError(detail)
    try:
        padded = AESGCM(_envelope_key(header, epoch, salt)).decrypt(
            _NONCE, envelope.sealed, _clear_part(header, salt)
        )
    except InvalidTag:
        detail = "An envelope does not open with the key it names; it was dropped."
        raise ForgedError(detail) from None
    return decode_payload(padded)


def envelope_hash(encoded: bytes) -> bytes:
    """Return the SHA-256 by which the next envelope of the device names this one."""
    return hashlib.sha256(encoded).digest()


def _clear_part(header: Header, salt: bytes) -> bytes:
    """Return the encoding up to the sealed payload, all of which is authenticated."""
    encode = msgspec.msgpack.encode
    return _ARRAY_OF_NINE + b"".join(
        (
            encode(VERSION),
            encode(header.space),
            encode(header.device),
            encode(header.sequence),
            encode(header.previous),
            encode(header.epoch_key_id),
            encode(salt),
        )
    )


def _envelope_key(header: Header, epoch: EpochKey, salt: bytes) -> bytes:
    place = header.space + header.device + header.sequence.to_bytes(8)
    return derive(epoch.secret, "envelope key", context=place, salt=salt)


def _complaint(encoded: bytes) -> str:
    is_array = b"\x90" <= encoded[:1] <= b"\x9f"
    if is_array and VERSION < int.from_bytes(encoded[1:2]) < 0x80:
        return "An envelope is of a later version: update this program to read it."
    return "An envelope does not follow its format; it was dropped."


_DECODER: Final = msgspec.msgpack.Decoder(_Wire)
