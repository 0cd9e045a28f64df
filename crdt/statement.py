"""Statements of a roster: who belongs to a space, said and signed by those who do.

Specification: docs/protocol/roster.md. Rules of this file:

1. One content has one encoding, so that the hash of the bytes names the statement.
2. What is checked here needs the statement alone: form, limits, signatures. Whether its
   author may say it is for `crdt/roster_rules.py`, whether it stands for
   `crdt/roster_history.py`.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from crdt.envelope import NO_HASH
from crdt.errors import ForgedError, InvalidError, MalformedError
from crdt.identity import Identity, check_name, verify_enrolment
from crdt.ids import DeviceId, SpaceId
from crdt.keys import (
    SIGNATURE_BYTES,
    Domain,
    SigningKey,
    device_id,
    verify_signature,
)
from crdt.statement_kinds import (
    Add,
    Body,
    Enrol,
    Epoch,
    Found,
    Grant,
    Hash,
    Id,
    PublicKey,
    Remove,
    Rename,
    Rotate,
    Signature,
)

VERSION: Final = 1
MAX_STATEMENT_BYTES: Final = 64 * 1024
MAX_PARENTS: Final = 512
_SIGNATURE_FIELD_BYTES: Final = 2 + SIGNATURE_BYTES


class _Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    space: Id
    author_key: PublicKey
    parents: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=MAX_PARENTS)]
    body: Body
    signature: Signature


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that decodes and whose signatures fit."""

    hash: bytes
    """SHA-256 of the bytes: by it others name this statement."""
    space: SpaceId
    author: DeviceId
    author_key: bytes
    parents: tuple[bytes, ...]
    """Hashes of the statements that the author knew and no other known one names."""
    body: Body
    encoded: bytes
    """The very bytes it was decoded from."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """What a device tells of itself to be added to a roster."""

    public_key: bytes
    hpke_key: bytes
    client_id: int
    name: str
    consent: bytes


def apply_for(identity: Identity, space: SpaceId) -> Applicant:
    """Return this device's word that it joins the space."""
    message = consent_message(
        space, identity.public_key, identity.hpke_key, identity.client_id
    )
    return Applicant(
        public_key=identity.public_key,
        hpke_key=identity.hpke_key,
        client_id=identity.client_id,
        name=identity.device_name,
        consent=identity.signing_key().sign(Domain.CONSENT, message),
    )


def consent_message(
    space: SpaceId, public_key: bytes, hpke_key: bytes, client_id: int
) -> bytes:
    """Return what a device signs to join: each part has one length."""
    return b"\x01" + space + public_key + hpke_key + client_id.to_bytes(4)


def statement_hash(encoded: bytes) -> bytes:
    """Return the hash by which an encoded statement is named."""
    return hashlib.sha256(encoded).digest()


def sign_statement(
    space: SpaceId, author: SigningKey, parents: tuple[bytes, ...], body: Body
) -> Statement:
    """Return what `author` states, knowing `parents` and all that came before them."""
    unsigned = _Wire(
        version=VERSION,
        space=space,
        author_key=author.public_key,
        parents=tuple(sorted(parents)),
        body=body,
        signature=bytes(SIGNATURE_BYTES),
    )
    signed = msgspec.msgpack.encode(unsigned)[:-_SIGNATURE_FIELD_BYTES]
    signature = author.sign(Domain.ROSTER, signed)
    return decode_statement(signed + msgspec.msgpack.encode(signature))


def decode_statement(encoded: bytes) -> Statement:
    """Return the statement that `encoded` is the only valid encoding of.

    Raises `MalformedError`, or `ForgedError` for a signature that does not fit.
    """
    if len(encoded) > MAX_STATEMENT_BYTES:
        detail = "A statement of a roster is larger than allowed; it was dropped."
        raise MalformedError(detail)
    try:
        wire = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_complaint(encoded)) from None
    if msgspec.msgpack.encode(wire) != encoded or not _is_in_order(wire):
        detail = "A statement is not in its only valid encoding; it was dropped."
        raise MalformedError(detail)
    signed = encoded[:-_SIGNATURE_FIELD_BYTES]
    verify_signature(Domain.ROSTER, wire.author_key, wire.signature, signed)
    _verify_body(wire)
    return Statement(
        hash=statement_hash(encoded),
        space=SpaceId(wire.space),
        author=device_id(wire.author_key),
        author_key=wire.author_key,
        parents=wire.parents,
        body=wire.body,
        encoded=encoded,
    )


def _is_in_order(wire: _Wire) -> bool:
    """Whether every list is sorted without repetition."""
    lists: list[list[bytes]] = [list(wire.parents)]
    match wire.body:
        case (
            Enrol(epoch=Epoch() as epoch)
            | Remove(epoch=epoch)
            | Rotate(epoch=epoch)
            | Found(epoch=epoch)
        ):
            lists += [[key for key, _ in epoch.sealed]]
            lists += [[key for key, _ in epoch.previous]]
        case Grant(keys=keys):
            lists += [[key for key, _ in keys]]
        case _:
            pass
    return all(each == sorted(set(each)) for each in lists)


def _verify_body(wire: _Wire) -> None:
    """Check what else was signed, and names; the author's signature fits already."""
    body = wire.body
    is_founding = isinstance(body, Found) or (
        isinstance(body, Enrol) and body.epoch is not None
    )
    if is_founding == bool(wire.parents):
        detail = "A statement contradicts itself about being the first."
        raise MalformedError(detail)
    match body:
        case Enrol(enrolment=enrolment, name=name):
            _verify_name(name)
            if enrolment.device_public_key != wire.author_key:
                detail = "A statement enrols another device than its author."
                raise ForgedError(detail)
            verify_enrolment(enrolment)
        case Add() as add:
            _verify_name(add.name)
            message = consent_message(
                SpaceId(wire.space), add.public_key, add.hpke_key, add.client_id
            )
            verify_signature(Domain.CONSENT, add.public_key, add.consent, message)
        case Rename(name=name):
            _verify_name(name)
        case Found(name=name, alias=alias):
            _verify_name(name)
            _verify_name(alias)
        case Remove(cut=cut) if (cut.sequence == 0) != (cut.hash == NO_HASH):
            detail = "A statement contradicts itself about a device's last envelope."
            raise MalformedError(detail)
        case _:
            pass


def _verify_name(name: str) -> None:
    try:
        check_name(name, "name")
    except InvalidError:
        detail = "A statement names a device as nobody can read; it was dropped."
        raise MalformedError(detail) from None


def _complaint(encoded: bytes) -> str:
    is_array = b"\x90" <= encoded[:1] <= b"\x9f"
    if is_array and VERSION < int.from_bytes(encoded[1:2]) < 0x80:
        return "A statement is of a later version: update this program to read it."
    return "A statement of a roster does not follow its format; it was dropped."


_DECODER: Final = msgspec.msgpack.Decoder(_Wire)
