"""Announcements: what a device says on the local network, and what is believed of it.

Specification: docs/protocol/discovery.md. Everything here comes from anybody on the
network, or from a program that plays a network, and is decoded within limits.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from crdt.errors import InvalidError, MalformedError
from transport.addresses import Address, Reach
from transport.tokens import TOKEN_BYTES

SERVICE_TYPE: Final = "_fractality._tcp.local."
VERSION: Final = b"1"
MAX_TXT_ENTRIES: Final = 8
MAX_TXT_BYTES: Final = 256
MAX_ADDRESSES: Final = 8
"""So many addresses of one announcement are believed, the first ones."""
MAX_NAMEPLATE: Final = 9_999
LABEL_CHARACTERS: Final = 2 * TOKEN_BYTES
_LABEL: Final = re.compile(rf"[0-9a-f]{{{LABEL_CHARACTERS}}}")
_NAMEPLATE: Final = re.compile(rb"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One announcement as it arrived, nothing of it checked."""

    label: str
    """The first part of its name."""
    properties: Mapping[bytes, bytes | None]
    """Its TXT record."""
    port: int | None
    hosts: tuple[str, ...]
    """IP addresses as text."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A device is there, known by its token."""

    token: bytes
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PairingOffer:
    """A device waits to be paired under the number that its code begins with."""

    nameplate: int
    addresses: tuple[Address, ...]


Announcement: TypeAlias = Presence | PairingOffer


def label_of(random_or_token: bytes) -> str:
    """Return the name of an announcement: 16 bytes in hexadecimal."""
    return random_or_token[:TOKEN_BYTES].hex()


def presence_properties() -> dict[bytes, bytes | None]:
    """Return the TXT record of a presence: the version and no more."""
    return {b"v": VERSION}


def pairing_properties(nameplate: int) -> dict[bytes, bytes | None]:
    """Return the TXT record of an offer to pair."""
    if not 1 <= nameplate <= MAX_NAMEPLATE:
        msg = f"a nameplate is 1 to {MAX_NAMEPLATE}, not {nameplate}"
        raise ValueError(msg)
    return {b"v": VERSION, b"pair": str(nameplate).encode()}


def decode_announcement(seen: Sighting, *, is_alone: bool = False) -> Announcement:
    """Return what a sighting announces, or raise `MalformedError`.

    Addresses of this machine itself are believed only where it has no other
    (`is_alone`): anybody on a network could name them.
    """
    properties = seen.properties
    size = sum(len(name) + len(value or b"") for name, value in properties.items())
    if len(properties) > MAX_TXT_ENTRIES or size > MAX_TXT_BYTES:
        raise MalformedError("An announcement on the network is too large; ignored.")
    if properties.get(b"v") != VERSION:
        raise MalformedError("An announcement is of another version; ignored.")
    if not _LABEL.fullmatch(seen.label):
        raise MalformedError("An announcement has a name that is no token; ignored.")
    addresses = _addresses(seen.hosts, seen.port or 0, is_alone=is_alone)
    if not addresses:
        raise MalformedError("An announcement has no address of use; ignored.")
    if b"pair" not in properties:
        return Presence(bytes.fromhex(seen.label), addresses)
    nameplate = properties[b"pair"] or b""
    if not _NAMEPLATE.fullmatch(nameplate):
        raise MalformedError("An announcement to pair has no number; ignored.")
    return PairingOffer(int(nameplate), addresses)


def _addresses(
    hosts: Iterable[str], port: int, *, is_alone: bool
) -> tuple[Address, ...]:
    """Return the usable ones of foreign addresses, at most `MAX_ADDRESSES`."""
    usable: dict[Address, None] = {}
    for host in hosts:
        if len(usable) == MAX_ADDRESSES:
            break
        try:
            address = Address.checked(host, port)
        except InvalidError:
            continue
        is_allowed = is_alone or address.reach is not Reach.MACHINE
        if address.ip is not None and not address.ip.is_link_local and is_allowed:
            usable[address] = None
    return tuple(usable)
