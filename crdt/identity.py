"""Who this device is, and the statement by which its person vouches for it.

Specification: docs/protocol/keys.md.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.errors import DamagedError, InvalidError, MalformedError
from crdt.ids import DeviceId, PersonId, has_control_characters
from crdt.keys import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    Confidential,
    Domain,
    SigningKey,
    derive,
    device_id,
    hpke_public_key,
    person_id,
    person_keys,
    verify_signature,
)

MAX_NAME_BYTES: Final = 255
DEVICE_RANDOMNESS_BYTES: Final = 2 * KEY_BYTES + 4
"""Seed of the signing key, seed of the HPKE key, client id."""

_Key: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)
]
_Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
]


class Enrolment(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """A person's word that a device is theirs, and the device's that it agrees.

    Without the second signature anyone could claim another's device as their own.
    """

    version: Literal[1]
    person_public_key: _Key
    device_public_key: _Key
    hpke_public_key: _Key
    person_signature: _Signature
    device_signature: _Signature


class Identity(Confidential, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that makes a device this device of this person."""

    version: Literal[1]
    person_name: str
    device_name: str
    person_secret: _Key
    signing_seed: _Key
    hpke_seed: _Key
    client_id: Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]
    """Under which Yjs client id this device writes."""
    enrolment: Enrolment

    @property
    def person(self) -> PersonId:
        """Id of the person."""
        return person_id(self.enrolment.person_public_key)

    @property
    def device(self) -> DeviceId:
        """Id of the device."""
        return device_id(self.enrolment.device_public_key)

    def signing_key(self) -> SigningKey:
        """Return the key with which this device signs."""
        return SigningKey(self.signing_seed)

    def backup_key(self) -> bytes:
        """Return the key that seals this person's backups, same on all devices."""
        return derive(self.person_secret, "backup key")


def new_identity(
    entropy: bytes, device_randomness: bytes, person_name: str, device_name: str
) -> Identity:
    """Return a new device of the person whose phrase stands for `entropy`.

    `device_randomness` is 68 fresh random bytes. Raises `InvalidError` for a name that
    is empty, too long or holds control characters.
    """
    if len(device_randomness) != DEVICE_RANDOMNESS_BYTES:
        msg = f"a device takes {DEVICE_RANDOMNESS_BYTES} random bytes"
        raise ValueError(msg)
    signing_seed = device_randomness[:KEY_BYTES]
    hpke_seed = device_randomness[KEY_BYTES : 2 * KEY_BYTES]
    person = person_keys(entropy)
    return Identity(
        version=1,
        person_name=_check_name(person_name, "person name"),
        device_name=_check_name(device_name, "device name"),
        person_secret=person.secret,
        signing_seed=signing_seed,
        hpke_seed=hpke_seed,
        client_id=client_id(device_randomness[2 * KEY_BYTES :]),
        enrolment=enrol(
            person.signing_key, SigningKey(signing_seed), hpke_public_key(hpke_seed)
        ),
    )


def client_id(randomness: bytes) -> int:
    """Return a Yjs client id, 1 to 2**32 - 1, from four random bytes."""
    return int.from_bytes(randomness[:4]) or 1


def enrol(person: SigningKey, device: SigningKey, hpke_key: bytes) -> Enrolment:
    """Return the statement that `device` belongs to `person`."""
    statement = _statement(person.public_key, device.public_key, hpke_key)
    return Enrolment(
        version=1,
        person_public_key=person.public_key,
        device_public_key=device.public_key,
        hpke_public_key=hpke_key,
        person_signature=person.sign(Domain.ENROLMENT, statement),
        device_signature=device.sign(Domain.ENROLMENT, statement),
    )


def encode_enrolment(enrolment: Enrolment) -> bytes:
    """Return the bytes of an enrolment: 236 of them."""
    return msgspec.msgpack.encode(enrolment)


def decode_enrolment(encoded: bytes) -> Enrolment:
    """Return an enrolment whose two signatures fit.

    Raises `MalformedError` or `ForgedError`.
    """
    try:
        enrolment = _ENROLMENT_DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "An enrolment does not follow its format; it was dropped."
        raise MalformedError(detail) from None
    if encode_enrolment(enrolment) != encoded:
        detail = "An enrolment is not in its only valid encoding; it was dropped."
        raise MalformedError(detail)
    statement = _statement(
        enrolment.person_public_key,
        enrolment.device_public_key,
        enrolment.hpke_public_key,
    )
    for public_key, signature in (
        (enrolment.person_public_key, enrolment.person_signature),
        (enrolment.device_public_key, enrolment.device_signature),
    ):
        verify_signature(Domain.ENROLMENT, public_key, signature, statement)
    return enrolment


def encode_identity(identity: Identity) -> bytes:
    """Return the record that the encrypted store keeps."""
    return msgspec.msgpack.encode(identity)


def decode_identity(record: bytes) -> Identity:
    """Return the identity of a record, or raise `DamagedError`."""
    detail = (
        "The identity of this device cannot be read from the store: restore a backup."
    )
    try:
        identity = _IDENTITY_DECODER.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedError(detail) from None
    if identity.signing_key().public_key != identity.enrolment.device_public_key:
        raise DamagedError(detail)
    return identity


def _statement(person_key: bytes, device_key: bytes, hpke_key: bytes) -> bytes:
    """All parts have one length, so joining them is unambiguous."""
    return b"\x01" + person_key + device_key + hpke_key


def _check_name(name: str, field: str) -> str:
    if not name.strip() or has_control_characters(name):
        raise InvalidError(field, "must be visible text without control characters")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidError(field, f"must be at most {MAX_NAME_BYTES} bytes of UTF-8")
    return name


_ENROLMENT_DECODER: Final = msgspec.msgpack.Decoder(Enrolment)
_IDENTITY_DECODER: Final = msgspec.msgpack.Decoder(Identity)
