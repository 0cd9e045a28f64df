"""The addresses of this machine, as the operating system tells them."""

import ipaddress
from collections.abc import Iterator
from typing import Final

import ifaddr

from transport.addresses import IpAddress

MAX_LOCAL_ADDRESSES: Final = 8
_INWARD: Final = ("docker", "veth", "br-", "virbr", "lxc", "lxd", "cni", "podman")
"""Interfaces to containers on this machine. Their addresses are the same on many
machines and lead nowhere from others."""


def local_addresses() -> tuple[IpAddress, ...]:
    """Return the addresses under which other machines may reach this one.

    IPv4 comes first. If there is none at all it is loopback, so that devices on one
    machine without a network still find each other.
    """
    found = sorted(set(_outward()), key=lambda ip: (ip.version, int(ip)))
    if not found:
        return (ipaddress.IPv4Address("127.0.0.1"),)
    return tuple(found[:MAX_LOCAL_ADDRESSES])


def _outward() -> Iterator[IpAddress]:
    for adapter in ifaddr.get_adapters():
        if adapter.name.startswith(_INWARD):
            continue
        for each in adapter.ips:
            text = each.ip if isinstance(each.ip, str) else each.ip[0]
            ip = ipaddress.ip_address(text)
            if not (ip.is_loopback or ip.is_link_local or ip.is_unspecified):
                yield ip
