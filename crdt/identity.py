"""Who this device is, and the statement by which its person vouches for it.

Specification: docs/protocol/keys.md. A device that was made with the phrase at hand has
an enrolment; one that was paired has none, for the phrase was not there to sign it, and
the roster alone says that it belongs to the person.
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


ClientId: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]


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


class Identity(
    Confidential, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2
):
    """All that makes a device this device of this person; the tag is the version."""

    person_name: str
    device_name: str
    person_public_key: _Key
    """With the private half of it the person signs enrolments."""
    person_secret: _Key
    signing_seed: _Key
    public_key: _Key
    """What the signing seed gives: others verify this device's signatures with it."""
    hpke_seed: _Key
    client_id: ClientId
    """Under which Yjs client id this device writes."""
    enrolment: Enrolment | None
    """The person's word for this device; None if the device was paired."""

    @property
    def person(self) -> PersonId:
        """Id of the person."""
        return person_id(self.person_public_key)

    @property
    def device(self) -> DeviceId:
        """Id of the device."""
        return device_id(self.public_key)

    @property
    def hpke_key(self) -> bytes:
        """The public key to which others seal secrets for this device."""
        return hpke_public_key(self.hpke_seed)

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
    person = person_keys(entropy)
    paired = new_paired_identity(
        person_name,
        person.signing_key.public_key,
        person.secret,
        device_randomness,
        device_name,
    )
    enrolment = enrol(person.signing_key, paired.signing_key(), paired.hpke_key)
    return msgspec.structs.replace(paired, enrolment=enrolment)


def new_paired_identity(
    person_name: str,
    person_public_key: bytes,
    person_secret: bytes,
    device_randomness: bytes,
    device_name: str,
) -> Identity:
    """Return a new device of a person whose phrase is not at hand.

    `device_randomness` is 68 fresh random bytes. Raises `InvalidError` for a name that
    is empty, too long or holds control characters.
    """
    if len(device_randomness) != DEVICE_RANDOMNESS_BYTES:
        msg = f"a device takes {DEVICE_RANDOMNESS_BYTES} random bytes"
        raise ValueError(msg)
    signing_seed = device_randomness[:KEY_BYTES]
    return Identity(
        person_name=check_name(person_name, "person name"),
        device_name=check_name(device_name, "device name"),
        person_public_key=person_public_key,
        person_secret=person_secret,
        signing_seed=signing_seed,
        public_key=SigningKey(signing_seed).public_key,
        hpke_seed=device_randomness[KEY_BYTES : 2 * KEY_BYTES],
        client_id=client_id(device_randomness[2 * KEY_BYTES :]),
        enrolment=None,
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
    verify_enrolment(enrolment)
    return enrolment


def verify_enrolment(enrolment: Enrolment) -> None:
    """Raise `ForgedError` unless both person and device signed."""
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


def encode_identity(identity: Identity) -> bytes:
    """Return the record that the encrypted store keeps."""
    return msgspec.msgpack.encode(identity)


def decode_identity(record: bytes) -> Identity:
    """Return the identity of a record of any version, or raise `DamagedError`."""
    detail = (
        "The identity of this device cannot be read from the store: restore a backup."
    )
    try:
        found = _IDENTITY_DECODER.decode(record)
        identity = found if isinstance(found, Identity) else _brought_up(found)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DamagedError(detail) from None
    enrolled = identity.enrolment
    if identity.signing_key().public_key != identity.public_key or (
        enrolled is not None
        and (identity.person_public_key, identity.public_key, identity.hpke_key)
        != (
            enrolled.person_public_key,
            enrolled.device_public_key,
            enrolled.hpke_public_key,
        )
    ):
        raise DamagedError(detail)
    return identity


class _FirstIdentity(
    Confidential, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1
):
    """Record of version 1, from before devices were paired."""

    person_name: str
    device_name: str
    person_secret: _Key
    signing_seed: _Key
    hpke_seed: _Key
    client_id: ClientId
    enrolment: Enrolment


def _brought_up(first: _FirstIdentity) -> Identity:
    return Identity(
        person_name=first.person_name,
        device_name=first.device_name,
        person_public_key=first.enrolment.person_public_key,
        person_secret=first.person_secret,
        signing_seed=first.signing_seed,
        public_key=first.enrolment.device_public_key,
        hpke_seed=first.hpke_seed,
        client_id=first.client_id,
        enrolment=first.enrolment,
    )


def _statement(person_key: bytes, device_key: bytes, hpke_key: bytes) -> bytes:
    """All parts have one length, so joining them is unambiguous."""
    return b"\x01" + person_key + device_key + hpke_key


def check_name(name: str, field: str) -> str:
    """Return a name of a person or device, or raise `InvalidError`."""
    if not name.strip() or has_control_characters(name):
        raise InvalidError(field, "must be visible text without control characters")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidError(field, f"must be at most {MAX_NAME_BYTES} bytes of UTF-8")
    return name


_ENROLMENT_DECODER: Final = msgspec.msgpack.Decoder(Enrolment)
_IDENTITY_DECODER: Final = msgspec.msgpack.Decoder(Identity | _FirstIdentity)
