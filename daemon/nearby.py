"""The local network as pairing uses it: where this device is, and who invites."""

from collections.abc import AsyncIterator, Sequence

from daemon.joining import Ways
from transport.addresses import Address
from transport.discovery import pairing_offers
from transport.local_addresses import local_addresses
from transport.multicast import MulticastError


def own_addresses(port: int) -> Sequence[str]:
    """Return where other devices of the network may reach an endpoint of this one."""
    return [str(Address.checked(str(ip), port)) for ip in local_addresses()]


def nearby_ways() -> Ways:
    """Return how inviters are reached from this machine."""
    return Ways(finder=NearbyInviters())


class NearbyInviters:
    """Listens on the network that this machine is on now."""

    async def find_inviters(self, nameplate: int) -> AsyncIterator[Address]:
        """Yield the addresses of devices that invite under a number, as they appear.

        Ends at once where the network lets nothing be heard.
        """
        try:
            async with pairing_offers(nameplate, local_addresses()) as next_offer:
                while True:
                    for address in await next_offer():
                        yield address
        except MulticastError:
            return
