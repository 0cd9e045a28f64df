"""Where devices are: what is known, what is told of it, and when it changes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from crdt.ids import DeviceId
from daemon.mesh.links import Links
from daemon.mesh.space_view import Clocks, SpaceView
from transport.address_book import AddressBook, Origin
from transport.addresses import Address
from transport.discovery import Discovery, Found
from transport.frames import MAX_ADDRESSES, Addresses
from transport.local_addresses import local_addresses

_LOOK_SECONDS: Final = 5.0
"""How often the addresses of this machine and its sleep are looked at."""
_SLEPT_MS: Final = 5_000


class Whereabouts:
    """Knows where to look for every device."""

    def __init__(
        self, view: SpaceView, links: Links, book: AddressBook, clocks: Clocks
    ) -> None:
        """Take whom to tell what is learnt."""
        self._view = view
        self._links = links
        self._clocks = clocks
        self.book = book
        self.peer_port = 0
        """Where this device's endpoint listens; 0 as long as it does not."""
        self._discovery: Discovery | None = None
        self.moved: Callable[[], None] = lambda: None
        """Is told when this machine woke up or has other addresses."""

    def follow_roster(self) -> None:
        """Look for whoever belongs to the space now."""
        for peer in self._view.others:
            self._know(peer)
        if self._discovery is not None:
            self._discovery.refresh()

    def learn(self, device: DeviceId, addresses: Sequence[Address]) -> None:
        """Take in where a device was seen or is said to be by a person."""
        if self.book.learn(device, addresses, self._clocks.wall_ms()):
            self._know(device)

    def hear(self, teller: DeviceId, frame: Addresses) -> None:
        """Take in where a linked device says that devices are."""
        others = self._view.others
        told = [
            (DeviceId(identity), text)
            for identity, text in frame.addresses
            if identity in others
        ]
        is_alone = all(ip.is_loopback for ip in local_addresses())
        now_ms = self._clocks.wall_ms()
        for device in self.book.hear(teller, told, now_ms, is_alone=is_alone):
            self._know(device)

    def told(self) -> Addresses:
        """Return what to tell other devices."""
        self.note_reached()
        me, now_ms = self._view.identity.device, self._clocks.wall_ms()
        own = [(me, str(address)) for address in self._own()]
        known = (*own, *self.book.told(self._view.others, now_ms))
        return Addresses(known[:MAX_ADDRESSES])

    def known(self, device: DeviceId) -> tuple[Address, ...]:
        """Return where a device may be, the best address first."""
        return self.book.of_device(device, self._clocks.wall_ms())

    def note_reached(self) -> None:
        """Remember by which addresses dials led to links."""
        now_ms = self._clocks.wall_ms()
        for device, address in self._links.take_reached().items():
            self.book.learn(device, (address,), now_ms, Origin.LINKED)

    async def follow_discovery(self, discovery: Discovery) -> None:
        """Take in what is seen on the local network, for as long as this runs."""
        self._discovery = discovery
        try:
            while True:
                for event in await discovery.next_events():
                    if isinstance(event, Found):
                        self.learn(event.device, event.addresses)
        finally:
            self._discovery = None

    async def keep_looking(self, each_time: Callable[[], None]) -> None:
        """Notice sleep and other networks, for as long as this runs."""
        steady_ms, awake_ms = self._clocks.steady_ms, self._clocks.awake_ms
        asleep_ms, addresses = steady_ms() - awake_ms(), local_addresses()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            each_time()
            now_asleep_ms, now_addresses = steady_ms() - awake_ms(), local_addresses()
            has_slept = now_asleep_ms - asleep_ms > _SLEPT_MS
            if has_slept or now_addresses != addresses:
                self._links.network_changed()
                self.moved()
                if self._discovery is not None:
                    self._discovery.renew()
            asleep_ms, addresses = now_asleep_ms, now_addresses

    def _know(self, device: DeviceId) -> None:
        self._links.know(device, self.known(device))

    def _own(self) -> list[Address]:
        if not self.peer_port:
            return []
        return [Address.checked(str(ip), self.peer_port) for ip in local_addresses()]
