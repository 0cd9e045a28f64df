"""Offer, answer and bind: the three messages by which two devices make a link.

Specification: docs/protocol/signalling.md. Rules of this file:

1. An offer or answer is signed by its device and sealed to the other: who carries it
   learns its size and nothing else.
2. Order of checks: size, seal, format, addressee, roster, signature, clock. All of
   them pass before anything is built for a stranger's message.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from crdt.errors import ForgedError, MalformedError, PeerError
from crdt.identity import Identity
from crdt.ids import DeviceId, format_id
from crdt.keys import (
    SIGNATURE_BYTES,
    Domain,
    device_id,
    open_sealed,
    seal_to,
    verify_signature,
)
from transport.description import Description, checked

MAX_SIGNAL_BYTES: Final = 4096
MAX_SKEW_MS: Final = 120_000
SESSION_BYTES: Final = 16
_OFFER_INFO: Final = b"fractality/1 offer to\0"
_ANSWER_INFO: Final = b"fractality/1 answer to\0"

_Bytes16: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_TimeMs: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
]


class _OfferBody(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    version: Literal[1]
    sender: _Bytes16
    recipient: _Bytes16
    session: _Bytes16
    nonce: _Bytes16
    time_ms: _TimeMs
    description: Description


class _AnswerBody(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    version: Literal[1]
    sender: _Bytes16
    recipient: _Bytes16
    offer_hash: _Bytes32
    nonce: _Bytes16
    description: Description


class _Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: bytes
    signature: _Signature


class Member(Protocol):
    """What signalling needs to know of a device of the roster."""

    @property
    def device(self) -> DeviceId:
        """Its id."""

    @property
    def public_key(self) -> bytes:
        """The key with which it signs."""

    @property
    def hpke_key(self) -> bytes:
        """The key to which is sealed what only it may read."""

    @property
    def is_removed(self) -> bool:
        """Whether it was removed."""


class MemberLookup(Protocol):
    """The roster, as far as it is asked here."""

    def __call__(self, device: DeviceId, /) -> Member | None:
        """Return the member with this id, also a removed one, or None."""


class StrangerError(PeerError):
    """The sender is no device of the roster, or one that was removed."""


class ClockSkewError(PeerError):
    """The sender's clock and ours are too far apart to tell new from old."""

    def __init__(self, device: DeviceId, skew_ms: int) -> None:
        ahead = "ahead of" if skew_ms > 0 else "behind"
        super().__init__(
            f"The clock of device {format_id(device)} is {_duration(skew_ms)} {ahead} "
            "ours; set both right, and the devices will connect."
        )
        self.device = device
        self.skew_ms = skew_ms
        """The sender's time minus ours."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer whose sender is known, fresh as far as the clock tells."""

    sender: Member
    session: bytes
    hash: bytes
    description: Description


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to our offer, by the device to which it was made."""

    hash: bytes
    description: Description


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message that is ready to be carried, and the hash that names it."""

    encoded: bytes
    hash: bytes


def seal_offer(
    me: Identity,
    peer: Member,
    description: Description,
    *,
    session: bytes,
    nonce: bytes,
    now_ms: int,
) -> Sealed:
    """Return the offer of a link to `peer`; session and nonce are 16 random bytes."""
    body = _OfferBody(1, me.device, peer.device, session, nonce, now_ms, description)
    encoded = msgspec.msgpack.encode(body)
    return _seal(me, peer, Domain.OFFER, _OFFER_INFO, encoded)


def open_offer(me: Identity, member: MemberLookup, sealed: bytes, now_ms: int) -> Offer:
    """Return an offer that a device of the roster made to us just now.

    Raises `MalformedError`, `ForgedError`, `StrangerError` or `ClockSkewError`.
    """
    signed = _open(me, _OFFER_INFO, sealed)
    body = _decode(_OFFER_DECODER, signed.body)
    sender = _sender(me, member, body.sender, body.recipient)
    verify_signature(Domain.OFFER, sender.public_key, signed.signature, signed.body)
    skew_ms = body.time_ms - now_ms
    if abs(skew_ms) > MAX_SKEW_MS:
        raise ClockSkewError(sender.device, skew_ms)
    return Offer(sender, body.session, _hash(signed.body), checked(body.description))


def seal_answer(
    me: Identity, offer: Offer, description: Description, *, nonce: bytes
) -> Sealed:
    """Return the answer to an offer; the nonce is 16 random bytes."""
    peer = offer.sender
    body = _AnswerBody(1, me.device, peer.device, offer.hash, nonce, description)
    encoded = msgspec.msgpack.encode(body)
    return _seal(me, peer, Domain.ANSWER, _ANSWER_INFO, encoded)


def open_answer(me: Identity, peer: Member, offer_hash: bytes, sealed: bytes) -> Answer:
    """Return the answer of `peer` to the offer with this hash.

    Raises `MalformedError`, `ForgedError` or `StrangerError`.
    """

    def only_peer(device: DeviceId, /) -> Member | None:
        return peer if device == peer.device else None

    signed = _open(me, _ANSWER_INFO, sealed)
    body = _decode(_ANSWER_DECODER, signed.body)
    _sender(me, only_peer, body.sender, body.recipient)
    if body.offer_hash != offer_hash:
        detail = "A device answered another offer than ours; the answer was dropped."
        raise ForgedError(detail)
    verify_signature(Domain.ANSWER, peer.public_key, signed.signature, signed.body)
    return Answer(_hash(signed.body), checked(body.description))


class BindRole(IntEnum):
    """Which of the two signs."""

    OFFERER = 0
    ANSWERER = 1


@dataclass(frozen=True, slots=True)
class Transcript:
    """What both ends of a connection agree on if nobody stands between them."""

    offer_hash: bytes
    answer_hash: bytes
    exporter: bytes
    """32 bytes that only the two ends of this encrypted connection can derive."""

    def sign(self, me: Identity, role: BindRole) -> bytes:
        """Return our signature, the first message on the connection."""
        return me.signing_key().sign(Domain.BIND, self._statement(role))

    def verify(self, peer: Member, role: BindRole, signature: bytes) -> None:
        """Raise `ForgedError` unless `peer` signed this transcript in its role."""
        verify_signature(Domain.BIND, peer.public_key, signature, self._statement(role))

    def _statement(self, role: BindRole) -> bytes:
        """All parts have one length, so joining them is unambiguous."""
        return bytes([1, role]) + self.offer_hash + self.answer_hash + self.exporter


def _seal(
    me: Identity, peer: Member, domain: Domain, info: bytes, body: bytes
) -> Sealed:
    signed = _Signed(body, me.signing_key().sign(domain, body))
    encoded = msgspec.msgpack.encode(signed)
    sealed = seal_to(peer.hpke_key, info + peer.device, encoded)
    return Sealed(sealed, _hash(body))


def _open(me: Identity, info: bytes, sealed: bytes) -> _Signed:
    if len(sealed) > MAX_SIGNAL_BYTES:
        raise MalformedError(_COMPLAINT)
    plain = open_sealed(me.hpke_seed, info + me.device, sealed)
    return _decode(_SIGNED_DECODER, plain)


_T = TypeVar("_T")


def _decode(decoder: msgspec.msgpack.Decoder[_T], encoded: bytes) -> _T:
    try:
        return decoder.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_COMPLAINT) from None


def _sender(
    me: Identity, member: MemberLookup, sender: bytes, recipient: bytes
) -> Member:
    """Return who claims to have sent a message to us; the signature is yet to prove it.

    Raises `ForgedError` or `StrangerError`.
    """
    if recipient != me.device or sender == me.device:
        detail = "A message for another device came here; it was dropped."
        raise ForgedError(detail)
    found = member(DeviceId(sender))
    if found is None or found.is_removed:
        detail = "A device that does not belong here asked for a link; it got silence."
        raise StrangerError(detail)
    if device_id(found.public_key) != sender:
        detail = "A device's id does not fit its key; its message was dropped."
        raise ForgedError(detail)
    return found


def _hash(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _duration(milliseconds: int) -> str:
    minutes = abs(milliseconds) // 60_000
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


_COMPLAINT: Final = "A message that offers or answers a link breaks its format."
_SIGNED_DECODER: Final = msgspec.msgpack.Decoder(_Signed)
_OFFER_DECODER: Final = msgspec.msgpack.Decoder(_OfferBody)
_ANSWER_DECODER: Final = msgspec.msgpack.Decoder(_AnswerBody)
