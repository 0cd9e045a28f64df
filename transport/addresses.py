"""Addresses: where the endpoint of a device can be asked for a link.

Rules of this file:

1. An address that exists is valid and canonical: equal places are equal values.
2. An address proves nothing. Whoever answers there has to prove, in signalling, which
   device it is.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self, TypeAlias

from crdt.errors import InvalidError

MAX_HOST_CHARACTERS: Final = 253
"""The longest name that the DNS can hold."""
MAX_LABEL_CHARACTERS: Final = 63
MAX_PORT: Final = 65_535
_MAX_TEXT_CHARACTERS: Final = MAX_HOST_CHARACTERS + len("[]:65535")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_IPv4Like: Final = re.compile(r"[0-9.]+|0x[0-9a-f]*")

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(IntEnum):
    """How far an address can be reached from, the nearest first."""

    MACHINE = 0
    """The machine itself: loopback."""
    NEARBY = 1
    """A network that is not the internet: LAN, VPN, carrier."""
    INTERNET = 2
    """From everywhere."""
    NAME = 3
    """A name; only asking for its address tells."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host and a port; made by `checked`, `parse_address` or `of_ip`."""

    host: str
    """An IP address in its shortest form, or a name in lower case."""
    port: int

    @classmethod
    def checked(cls, host: str, port: int, field: str = "address") -> Self:
        """Return the address in its canonical form, or raise `InvalidError`."""
        if not 1 <= port <= MAX_PORT:
            raise InvalidError(field, f"the port must be 1 to {MAX_PORT}")
        return cls(_checked_host(host, field), port)

    @property
    def ip(self) -> IpAddress | None:
        """The host as an IP address, None if it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def reach(self) -> Reach:
        """From where the address can be reached."""
        ip = self.ip
        if ip is None:
            return Reach.MACHINE if self.host == "localhost" else Reach.NAME
        if ip.is_loopback:
            return Reach.MACHINE
        return Reach.INTERNET if ip.is_global else Reach.NEARBY

    def __str__(self) -> str:
        """Return what `parse_address` reads."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str, field: str = "address") -> Address:
    """Return the address that `text` names: `host:port` or `[IPv6]:port`.

    Raises `InvalidError` with a sentence for the person who typed it.
    """
    if len(text) > _MAX_TEXT_CHARACTERS:
        raise InvalidError(field, f"must be at most {_MAX_TEXT_CHARACTERS} characters")
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port):
        raise InvalidError(field, "must be HOST:PORT, as in 192.168.1.7:7411")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise InvalidError(field, "only an IPv6 address stands in brackets")
    elif ":" in host:
        raise InvalidError(field, "an IPv6 address is written in brackets: [::1]:7411")
    return Address.checked(host, int(port), field)


def dialling_order(
    addresses: Iterable[Address], succeeded: Iterable[Address] = ()
) -> tuple[Address, ...]:
    """Return `addresses` in the order in which to try them.

    `succeeded` are those that once led to a link, the latest first: they lead. The
    others follow by reach, so that a LAN is tried before the internet; among equals
    they keep their order.
    """
    rank = {address: place for place, address in enumerate(succeeded)}
    unique = dict.fromkeys(addresses)
    return tuple(
        sorted(unique, key=lambda each: (rank.get(each, len(rank)), each.reach))
    )


def _checked_host(host: str, field: str) -> str:
    """Return a host in canonical form, or raise `InvalidError`."""
    if ":" in host:
        return _checked_ip(host, field)
    name = host.lower().removesuffix(".")
    if _IPv4Like.fullmatch(name.rpartition(".")[2]):
        # "1.2.3" and "0x7f000001" reach hosts that they do not seem to name.
        return _checked_ip(name, field)
    labels = name.split(".")
    if len(name) > MAX_HOST_CHARACTERS or not all(
        len(label) <= MAX_LABEL_CHARACTERS and _LABEL.fullmatch(label)
        for label in labels
    ):
        raise InvalidError(field, "must name a host by letters, digits, dots, hyphens")
    return name


def _checked_ip(host: str, field: str) -> str:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise InvalidError(field, "must be a complete IP address or a name") from None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.scope_id is not None:
            raise InvalidError(field, "must not name an interface (the part behind %)")
    if ip.is_unspecified or ip.is_multicast or ip == _BROADCAST:
        raise InvalidError(field, "must be the address of one host")
    return str(ip)


_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")
