"""Derivation, signatures and the passphrase hash: how one key leads to the next.

Specification: docs/protocol/keys.md. Rules of this file:

1. Every derivation has a label and every signature a domain, so that no key and no
   signed statement can ever serve as another kind.
2. Randomness comes from the caller, but for the key pair that HPKE makes for each
   sealing: its library draws that itself. Nothing here prints or keeps a secret.
"""

import hashlib
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crdt.errors import ForgedError
from crdt.ids import DeviceId, PersonId

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEALED_KEY_BYTES: Final = 32 + KEY_BYTES + 16
"""A key sealed to a device: the sender's one-time public key, the key, the tag."""
WRAPPED_KEY_BYTES: Final = KEY_BYTES + 16
"""A key sealed under another: the key, the tag."""
_ID_BYTES: Final = 16
_NONCE: Final = bytes(12)
_HPKE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Domain(Enum):
    """What a signature is for; the zero byte keeps any domain from starting another."""

    ENVELOPE = b"fractality/1 envelope\0"
    ENROLMENT = b"fractality/1 enrolment\0"
    CONSENT = b"fractality/1 consent\0"
    ROSTER = b"fractality/1 roster\0"
    OFFER = b"fractality/1 offer\0"
    ANSWER = b"fractality/1 answer\0"
    BIND = b"fractality/1 bind\0"
    CHECKPOINT = b"fractality/1 checkpoint\0"
    CONTRIBUTION = b"fractality/1 contribution\0"
    CIRCLE_CARD = b"fractality/1 circle card\0"
    VOTE = b"fractality/1 vote\0"


class Confidential(msgspec.Struct, frozen=True):
    """A record with secrets in it: shows its kind and nothing else when printed."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Keep secrets out of tracebacks that `rich` draws with local variables."""
        return []


class SigningKey:
    """An Ed25519 key pair made from a seed of 32 bytes."""

    __slots__ = ("_private", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._private.public_key().public_bytes_raw()

    def sign(self, domain: Domain, message: bytes) -> bytes:
        """Return the signature (64 bytes) of `message` within `domain`."""
        return self._private.sign(domain.value + message)


def verify_signature(
    domain: Domain, public_key: bytes, signature: bytes, message: bytes
) -> None:
    """Raise `ForgedError` unless the key's owner signed `message` within `domain`."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, domain.value + message)
    except (InvalidSignature, ValueError):
        detail = "A signature does not fit its key; what it covers was dropped."
        raise ForgedError(detail) from None


def hpke_public_key(seed: bytes) -> bytes:
    """Return the X25519 public key to which secrets for a device are sealed."""
    return X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def seal_to(hpke_public: bytes, info: bytes, plain: bytes) -> bytes:
    """Return `plain` sealed so that only the owner of the HPKE key opens it.

    HPKE (RFC 9180), base mode: it does not tell who sealed. `info` says what for, and
    must be the same for opening. Raises `ForgedError` for what is no public key.
    """
    try:
        key = X25519PublicKey.from_public_bytes(hpke_public)
        return _HPKE.encrypt(plain, key, info=info)
    except ValueError:
        detail = "A device's key is none that anything can be sealed to."
        raise ForgedError(detail) from None


def open_sealed(hpke_seed: bytes, info: bytes, sealed: bytes) -> bytes:
    """Return what was sealed to the owner of `hpke_seed` by `seal_to` with `info`.

    Raises `ForgedError` if it was sealed to another, for another purpose, or changed.
    """
    try:
        key = X25519PrivateKey.from_private_bytes(hpke_seed)
        return _HPKE.decrypt(sealed, key, info=info)
    except (InvalidTag, ValueError):
        detail = "Something sealed to this device does not open; it was dropped."
        raise ForgedError(detail) from None


def wrap_key(outer: bytes, label: str, context: bytes, key: bytes) -> bytes:
    """Return `key` sealed under the secret key `outer`.

    The cipher's key follows from outer, label and context, so a triple serves one
    `key` only; hence the nonce can be constant.
    """
    cipher = AESGCM(derive(outer, label, context=context))
    return cipher.encrypt(_NONCE, key, None)


def unwrap_key(outer: bytes, label: str, context: bytes, wrapped: bytes) -> bytes:
    """Return what `wrap_key` sealed, or raise `ForgedError`."""
    try:
        cipher = AESGCM(derive(outer, label, context=context))
        return cipher.decrypt(_NONCE, wrapped, None)
    except InvalidTag:
        detail = "A key does not open with the key it was sealed under."
        raise ForgedError(detail) from None


def device_id(public_key: bytes) -> DeviceId:
    """Return the id of the device that signs with this key."""
    return DeviceId(hashlib.sha256(public_key).digest()[:_ID_BYTES])


def person_id(public_key: bytes) -> PersonId:
    """Return the id of the person who signs with this key."""
    return PersonId(hashlib.sha256(public_key).digest()[:_ID_BYTES])


def derive(
    secret: bytes, label: str, *, context: bytes = b"", salt: bytes = b""
) -> bytes:
    """Return 32 bytes by HKDF-SHA256 (RFC 5869) that `secret` alone determines.

    Different labels, contexts or salts give unrelated keys. A label holds no zero
    byte; the one after it keeps label and context apart.
    """
    info = f"fractality/1 {label}\0".encode() + context
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(
        secret
    )


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """What a phrase gives: the signing key stays off devices, the secret is on each."""

    signing_key: SigningKey
    secret: bytes

    def __repr__(self) -> str:
        return "<PersonKeys>"


def person_keys(entropy: bytes) -> PersonKeys:
    """Return the keys of the person whose phrase stands for `entropy`."""
    root = derive(entropy, "root key")
    return PersonKeys(
        signing_key=SigningKey(derive(root, "person signing key")),
        secret=derive(root, "person secret"),
    )


@dataclass(frozen=True, slots=True)
class Argon2idCost:
    """How dear one guess of a passphrase is."""

    memory_kib: int
    iterations: int
    lanes: int


RECOMMENDED_COST: Final = Argon2idCost(memory_kib=64 * 1024, iterations=3, lanes=4)
"""Second recommendation of RFC 9106; about 0.8 s on a small machine."""


def passphrase_key(passphrase: str, salt: bytes, cost: Argon2idCost) -> bytes:
    """Return the 32 bytes that Argon2id (RFC 9106) makes of a passphrase.

    The text is brought to Unicode NFC first: keyboards differ in how they send "é".
    """
    text = unicodedata.normalize("NFC", passphrase)
    function = Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return function.derive(text.encode("utf-8", "surrogatepass"))
