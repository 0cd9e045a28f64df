"""The links of one circle: who is dialled, who is answered, where everybody is.

Rules of this file:

1. Only devices with a card that counts are dialled or answered.
2. Who dials this device without being among its neighbours is a guest: it stays as long
   as it is linked, and guests are few.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from crdt.circle_keys import CircleIdentity
from crdt.ids import DeviceId
from daemon.circles.directory import KnownDevice
from daemon.circles.neighbours import farther, neighbours
from daemon.mesh.calling import Introducing
from daemon.mesh.links import Links
from daemon.mesh.space_view import Clocks
from transport.address_book import AddressBook, Origin
from transport.dialing import DialPolicy
from transport.ice_servers import IceServers
from transport.link import Link
from transport.local_addresses import local_addresses
from transport.reasons import Reason
from transport.switchboard import Switchboard

MAX_GUESTS: Final = 8
GUEST_MS: Final = 30_000
"""So long a guest may take to become linked."""
TURN_SECONDS: Final = 20.0
"""So long devices farther away are tried before others are."""
_LOOK_SECONDS: Final = 2.0


class Connecting:
    """Links with devices of one circle, from entering to leaving."""

    def __init__(
        self,
        who: CircleIdentity,
        converse: Callable[[Link], Awaitable[None]],
        clocks: Clocks,
        servers: IceServers,
        introducing: Introducing,
    ) -> None:
        """Take who this device is in the circle, and what is said to others."""
        self._me = who.device.device
        self._author = who.author_key
        self._converse = converse
        self._clocks = clocks
        self._known: Mapping[DeviceId, KnownDevice] = {}
        self._guests: dict[DeviceId, int] = {}
        self._turn = 0
        self._book = AddressBook()
        self._switchboard = Switchboard(
            who.device, self._member, servers=servers, answering=self._receive
        )
        self.links = Links(
            DialPolicy(self._me, clocks.dice),
            self._switchboard,
            _forward,
            introducing,
            self._hold,
            now_ms=clocks.steady_ms,
        )
        self._stack = AsyncExitStack()
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Begin to link with whoever is known."""
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            await stack.enter_async_context(self._switchboard)
            await stack.enter_async_context(self.links)
            stack.callback(tasks.create_task(self._keep_looking()).cancel)
            self._stack = stack.pop_all()
        self._is_open = True
        self._want()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every link."""
        self._is_open = False
        await self._stack.aclose()

    async def answer(self, sealed: bytes, source: str) -> bytes | None:
        """Return the answer to an offer of a member's device, None if it is none."""
        if not self._is_open:
            return None
        return await self._switchboard.answer(sealed, source)

    def follow(self, known: Mapping[DeviceId, KnownDevice]) -> None:
        """Take over which devices there are and where they say that they are."""
        is_alone = all(ip.is_loopback for ip in local_addresses())
        now_ms, former = self._clocks.wall_ms(), self._known
        self._known = known
        self._want()
        for device, each in known.items():
            if former.get(device) != each:
                told = [(device, address) for address in each.addresses]
                self._book.hear(device, told, now_ms, is_alone=is_alone)
                self._know(device)

    def network_changed(self) -> None:
        """Take note that this machine woke up or has other addresses."""
        if self._is_open:
            self.links.network_changed()

    def sync_now(self) -> None:
        """Try every device that has no link without waiting any longer."""
        if self._is_open:
            self.links.sync_now()

    @property
    def linked(self) -> frozenset[DeviceId]:
        """The devices with which there is a link."""
        return self.links.linked

    def explain(self, device: DeviceId) -> Reason:
        """Return why there is or is no link to a device."""
        return self.links.explain(device)

    def _member(self, device: DeviceId, /) -> KnownDevice | None:
        return self._known.get(device)

    def _receive(self, device: DeviceId) -> None:
        """Let a device in whose offer is being answered."""
        self.links.answering(device)
        self._let_in(device)

    def _let_in(self, device: DeviceId) -> None:
        """Keep a link with a device though it is no neighbour, as long as it lasts."""
        others = self._known.keys() - self._sisters()
        is_near = device in self._sisters() | neighbours(self._me, others)
        if not is_near and device in self._known and len(self._guests) < MAX_GUESTS:
            self._guests[device] = self._clocks.steady_ms() + GUEST_MS
            self._want()

    def _chosen(self) -> frozenset[DeviceId]:
        sisters = self._sisters()
        others = self._known.keys() - sisters
        near = neighbours(self._me, others)
        far = farther(self._me, others, self.linked, self._turn)
        return sisters | near | far

    def _sisters(self) -> frozenset[DeviceId]:
        """Return this person's other devices."""
        return frozenset(
            device
            for device, each in self._known.items()
            if each.author == self._author and device != self._me
        )

    def _want(self) -> None:
        """Link with neighbours and guests, and with nobody else."""
        if not self._is_open:
            return
        now_ms = self._clocks.steady_ms()
        chosen, linked = self._chosen(), self.linked
        self._guests = {
            device: until_ms
            for device, until_ms in self._guests.items()
            if device in self._known and (device in linked or now_ms < until_ms)
        }
        former = self.links.wanted
        self.links.want(chosen | self._guests.keys())
        for device in self.links.wanted - former:
            self._know(device)

    def _know(self, device: DeviceId) -> None:
        if not self._is_open:
            return
        now_ms = self._clocks.wall_ms()
        self.links.know(device, self._book.of_device(device, now_ms))

    async def _hold(self, link: Link) -> None:
        now_ms = self._clocks.wall_ms()
        for device, address in self.links.take_reached().items():
            self._book.learn(device, (address,), now_ms, Origin.LINKED)
        self._let_in(link.peer)
        await self._converse(link)

    async def _keep_looking(self) -> None:
        """Try others in turns while few are linked, and let go of late guests."""
        passed = 0.0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            passed += _LOOK_SECONDS
            if passed >= TURN_SECONDS:
                passed = 0.0
                self._turn += 1
            self._want()


async def _forward(peer: DeviceId, offer: bytes) -> bytes | None:
    """Return no answer: nobody carries offers of a circle."""
