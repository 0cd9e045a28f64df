"""How one end of a connection is found and known: the network part of a signal.

Specification: docs/protocol/signalling.md. These are values of narrow types; no foreign
text is ever handed on as a session description.
"""

import ipaddress
from enum import IntEnum
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.errors import MalformedError

MAX_CANDIDATES: Final = 16

_Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class CandidateKind(IntEnum):
    """Where an address comes from."""

    HOST = 0
    SERVER_REFLEXIVE = 1
    RELAY = 2


class Candidate(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """An address at which a device may be reached by UDP."""

    kind: CandidateKind
    address: Annotated[bytes, msgspec.Meta(min_length=4, max_length=16)]
    """An IPv4 or IPv6 address as 4 or 16 bytes."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    priority: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    foundation: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]{1,32}\Z")]


class Description(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """How one end of a connection is found, and by which certificate it is known."""

    username: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]{4,32}\Z")]
    password: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]{22,64}\Z")]
    fingerprint: _Bytes32
    """SHA-256 of the certificate."""
    candidates: Annotated[
        tuple[Candidate, ...], msgspec.Meta(max_length=MAX_CANDIDATES)
    ]


def checked(description: Description) -> Description:
    """Return a description whose addresses all are those of one machine each."""
    for candidate in description.candidates:
        try:
            address = ipaddress.ip_address(candidate.address)
        except ValueError:
            raise MalformedError(_COMPLAINT) from None
        if address.is_unspecified or address.is_multicast or _is_disguised(address):
            raise MalformedError(_COMPLAINT)
    return description


def _is_disguised(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is broadcast, or IPv4 in the clothes of IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped is not None
    return address == ipaddress.IPv4Address("255.255.255.255")


_COMPLAINT: Final = "A device tells of addresses that are those of no single machine."
