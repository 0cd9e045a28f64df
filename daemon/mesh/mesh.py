"""A device among the others of its person, from entering to leaving.

Everything here is on the event loop: what is durable comes in by `committed`, what
peers say by their sessions, what a person wants by the API; links, sessions and what
is told of them follow.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from crdt.arrival import Cause, Refusal
from crdt.envelope_reader import EnvelopeReader
from crdt.errors import (
    DiskFullError,
    FractalityError,
    InvalidError,
    PeerError,
    StoreError,
)
from crdt.holding import Holding
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.known_addresses import KnownAddresses
from crdt.membership import RosterChange
from crdt.replica import Committed, Replica
from crdt.roster import Member
from crdt.vectors import VersionVector
from daemon.mesh.address_book import AddressBook
from daemon.mesh.links import Links
from daemon.mesh.peer_record import Here, PeerRecord
from daemon.mesh.port import ReplicaOfPeer
from daemon.mesh.tending import tend
from daemon.owner import Owner
from transport.addresses import Address, parse_address
from transport.dialing import DialPolicy
from transport.discovery import Discovery, Found
from transport.exchange import Exchange, Told
from transport.frames import (
    MAX_ADDRESSES,
    Addresses,
    Condition,
    Forward,
    Presence,
    Wish,
)
from transport.ice_servers import IceServers
from transport.link import Link
from transport.local_addresses import local_addresses
from transport.signalling import ClockSkewError
from transport.switchboard import Switchboard
from transport.sync import SyncSession
from transport.sync_actions import Acknowledged, Local

logger = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 1.0
"""What peers acknowledged is handed to the store at most so often."""
_LOOK_SECONDS: Final = 5.0
"""How often the addresses of this machine and its sleep are looked at."""
_SLEPT_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """Times and dice, from outside."""

    wall_ms: Callable[[], int]
    steady_ms: Callable[[], int]
    """Of a clock that goes on while the machine sleeps."""
    awake_ms: Callable[[], int]
    """Of a clock that does not."""
    randomness: Callable[[int], bytes]
    dice: Callable[[], float]


class Mesh:
    """Links, sessions, and what is known of every other device."""

    def __init__(
        self,
        owner: Owner,
        identity: Identity,
        envelopes: EnvelopeReader,
        threads: ThreadPoolExecutor,
        clocks: Clocks,
        *,
        servers: IceServers | None = None,
        heard: Callable[[DeviceId, Presence], None] = lambda peer, frame: None,
        news: Callable[[str, DeviceId], None] = lambda kind, peer: None,
    ) -> None:
        """Link with nobody yet.

        `heard` takes who edits what elsewhere; `news` is told `peer.online`,
        `peer.offline`, `sync.state` and `sync.progress` of a device.
        """
        self._owner = owner
        self.identity = identity
        self._envelopes = envelopes
        self._threads = threads
        self._clocks = clocks
        self._heard = heard
        self._news = news
        self.records: dict[DeviceId, PeerRecord] = {}
        self._exchanges: dict[DeviceId, Exchange] = {}
        self._fetching: DeviceId | None = None
        self._wishing: set[DeviceId] = set()
        self._conditions = Condition.NONE
        self._unsaved: set[DeviceId] = set()
        self._presences_of: Callable[[], Sequence[Presence]] = lambda: ()
        self.book = AddressBook()
        self.peer_port = 0
        self.discovery: Discovery | None = None
        self.is_paused = False
        self._switchboard = Switchboard(
            identity, self._member, servers=servers, refused=self._offer_refused
        )
        policy = DialPolicy(identity.device, clocks.dice)
        self.links = Links(
            policy, self._switchboard, self._forward, self._converse, clocks.steady_ms
        )
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()
        self._services: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Look at what is held, and begin to link."""
        self.holding, stored, acknowledged = await self._owner.run(_observed)
        self.book = AddressBook.of(stored)
        for device, (vector, heard_ms) in acknowledged.items():
            self.records[device] = PeerRecord(vector, heard_ms)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tasks)
            await stack.enter_async_context(self._switchboard)
            await stack.enter_async_context(self.links)
            self._services = [
                self._tasks.create_task(self._keep_saving()),
                self._tasks.create_task(self._keep_looking()),
            ]
            stack.callback(self._stop_services)
            self._stack = stack.pop_all()
        self._follow_roster()
        self._run(self._tend())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every session and link; keep what was learnt."""
        await self._stack.aclose()
        await self._save()

    @property
    def here(self) -> Here:
        """How it is with this device."""
        own = self.holding.roster.member(self.identity.device)
        return Here(
            device=self.identity.device,
            vector=self.holding.vector,
            is_removed=own is None or own.is_removed,
            is_paused=self.is_paused,
            is_disk_full=Condition.DISK_FULL in self._conditions,
            lacks_key=Condition.KEY_MISSING in self._conditions,
            forked=self.holding.forked,
        )

    def record(self, device: DeviceId) -> PeerRecord:
        """Return what is known of a device."""
        return self.records.setdefault(device, PeerRecord())

    async def signal(self, sealed: bytes, source: str) -> bytes | None:
        """Answer an offer that came to the endpoint."""
        return await self._switchboard.answer(sealed, source)

    def committed(self, committed: Committed) -> None:
        """Take note of what became durable here, and let peers have it."""
        if committed.holding is None:
            return
        self.holding = committed.holding
        self._conditions &= ~Condition.DISK_FULL
        for exchange in list(self._exchanges.values()):
            exchange.update(committed.advanced)

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements: who belongs, which keys there are."""
        self.holding = replace(self.holding, roster=change.roster)
        if change.has_new_keys:
            self._conditions &= ~Condition.KEY_MISSING
        self._follow_roster()
        for exchange in list(self._exchanges.values()):
            exchange.update(())
        if change.statements:
            self._run(self._tend())

    def try_address(self, text: str) -> str:
        """Look for every device that has no link at this address, too.

        Raises `InvalidError`.
        """
        address = parse_address(text)
        for device in self._others() - self.links.linked:
            self._learn(device, (address,))
        self.links.sync_now()
        return str(address)

    def pause(self, *, is_paused: bool) -> None:
        """Stay alone from now on, or not any more."""
        self.is_paused = is_paused
        self.links.pause(is_paused=is_paused)

    def say(self, presence: Presence) -> None:
        """Tell every linked device who edits something here."""
        for exchange in self._exchanges.values():
            exchange.say(presence)

    def greet_with(self, presences: Callable[[], Sequence[Presence]]) -> None:
        """Say this to every device as soon as there is a session with it."""
        self._presences_of = presences

    async def follow_discovery(self, discovery: Discovery) -> None:
        """Take in what is seen on the local network, for as long as this runs."""
        self.discovery = discovery
        while True:
            for event in await discovery.next_events():
                if isinstance(event, Found):
                    self._learn(event.device, event.addresses)

    def local(self, peer: DeviceId) -> Local:
        """Return what is held, and what is wished from a peer."""
        holding = self.holding
        return Local(
            vector=holding.vector,
            digest=_short(holding.digest),
            roster=holding.roster.fingerprint,
            statements=holding.roster.hashes,
            condition=self._conditions,
            wish=self._wish(peer),
        )

    def refused(self, peer: DeviceId, refusals: Sequence[Refusal]) -> None:
        """Take note of envelopes that were not taken."""
        causes = {refusal.cause for refusal in refusals} - {Cause.DUPLICATE}
        if Cause.NO_KEY in causes:
            self._conditions |= Condition.KEY_MISSING
        if causes:
            names = ", ".join(sorted(causes))
            logger.warning("envelopes of a device were not taken: %s", names)
            self._news("sync.state", peer)

    def store_failed(self, error: Exception) -> None:
        """Take note that something could not be made durable."""
        if isinstance(error, DiskFullError):
            self._conditions |= Condition.DISK_FULL

    def wish_checkpoint(self, peer: DeviceId) -> None:
        """Wish for a checkpoint from a peer."""
        self._wishing.add(peer)

    def tell(self, peer: DeviceId, told: Told) -> None:
        """Take note of how a peer stands."""
        record = self.record(peer)
        record.note(told, self.holding.vector, self._clocks.wall_ms())
        if isinstance(told, Acknowledged):
            self._unsaved.add(peer)
        else:
            self._news("sync.state", peer)

    def hear(self, peer: DeviceId, frame: Presence | Addresses | Forward) -> None:
        """Take what a peer says beside the graph."""
        match frame:
            case Presence():
                self._heard(peer, frame)
            case Addresses():
                self._hear_addresses(frame)
            case Forward():
                pass

    def _member(self, device: DeviceId, /) -> Member | None:
        return self.holding.roster.member(device)

    def _others(self) -> frozenset[DeviceId]:
        """Return the devices to which there should be a link."""
        if self.here.is_removed:
            return frozenset()
        members = self.holding.roster.members.values()
        present = (each.device for each in members if not each.is_removed)
        return frozenset(present) - {self.identity.device}

    def _follow_roster(self) -> None:
        """Link with who belongs to the space, and let go of who does not any more."""
        others = self._others()
        for peer in self._exchanges.keys() - others:
            self._exchanges[peer].remove_peer()
        self.links.want(others | self._exchanges.keys())
        for peer in others:
            self.links.know(peer, self.book.of_device(peer))
        if self.discovery is not None:
            self.discovery.refresh()

    async def _converse(self, link: Link) -> None:
        """Bring the space into step over a link until it is over."""
        peer = link.peer
        steady_ms = self._clocks.steady_ms
        session = SyncSession(
            self.identity.device,
            self._owner.replica.keys.space,
            self.local(peer),
            steady_ms(),
        )
        port = ReplicaOfPeer(
            peer,
            self,
            self._owner,
            self._envelopes,
            self._threads,
            self._clocks.wall_ms,
        )
        exchange = Exchange(
            session,
            link,
            port,
            now_ms=steady_ms,
            wall_ms=self._clocks.wall_ms,
            greeting=self._greeting(),
        )
        self._exchanges[peer] = exchange
        self.record(peer).link_made()
        self._news("peer.online", peer)
        try:
            await exchange.run()
        finally:
            if exchange.ending is not None:
                logger.info("a session ended: %s", exchange.ending)
            if self._exchanges.get(peer) is exchange:
                del self._exchanges[peer]
                self.record(peer).link_lost()
                self._news("peer.offline", peer)
                if peer not in self._others():
                    self.links.want(self._others() | self._exchanges.keys())
            if self._fetching == peer:
                self._fetching = None

    def _greeting(self) -> Sequence[Presence | Addresses]:
        """Return what is said first: where devices are, and who edits what."""
        me = self.identity.device
        own = [(me, address) for address in self._own_addresses()]
        told = (*own, *self.book.told(self._others()))
        return [Addresses(told[:MAX_ADDRESSES]), *self._presences_of()]

    def _own_addresses(self) -> list[str]:
        if not self.peer_port:
            return []
        found = (Address.checked(str(ip), self.peer_port) for ip in local_addresses())
        return [str(address) for address in found]

    def _wish(self, peer: DeviceId) -> Wish:
        return Wish.ENVELOPES

    def _learn(self, device: DeviceId, addresses: Sequence[Address]) -> None:
        now_ms = self._clocks.wall_ms()
        if self.book.learn(device, addresses, now_ms):
            self.links.know(device, self.book.of_device(device))

    def _hear_addresses(self, frame: Addresses) -> None:
        others = self._others()
        for identity, text in frame.known:
            device = DeviceId(identity)
            if device not in others:
                continue
            with suppress(InvalidError):
                self._learn(device, (parse_address(text),))

    async def _forward(self, peer: DeviceId, sealed: bytes) -> bytes | None:
        return None

    def _offer_refused(self, error: PeerError) -> None:
        """Take note of why an offer was dropped: some causes a person can mend."""
        if isinstance(error, ClockSkewError):
            self.record(error.device).skew_ms = error.skew_ms
            self._news("sync.state", error.device)

    async def _tend(self) -> None:
        """State what an admin owes the others."""
        randomness, wall_ms = self._clocks.randomness, self._clocks.wall_ms
        changes = await self._owner.run(
            lambda replica: tend(replica, randomness, wall_ms())
        )
        for change in changes:
            self.roster_changed(change)

    def _run(self, job: Coroutine[Any, Any, None]) -> None:
        """Do something beside; what fails is told in the log and tried again later."""

        async def guarded() -> None:
            try:
                await job
            except FractalityError as error:
                logger.warning("a statement failed: %s", type(error).__name__)

        self._tasks.create_task(guarded())

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            await self._save()

    async def _save(self) -> None:
        """Hand what peers said and where they are to the store."""
        said = {peer: dict(self.records[peer].vector) for peer in self._unsaved}
        self._unsaved.clear()
        book = self.book.stored() if self.book.is_changed else None
        self.book.is_changed = False
        if not said and book is None:
            return
        now_ms = self._clocks.wall_ms()

        def note(replica: Replica) -> None:
            for peer, vector in said.items():
                replica.note_acknowledged(peer, vector, now_ms)
            if book is not None:
                replica.save_addresses(book)

        with suppress(StoreError):
            await self._owner.run(note)

    async def _keep_looking(self) -> None:
        """Notice sleep and other networks."""
        steady_ms, awake_ms = self._clocks.steady_ms, self._clocks.awake_ms
        asleep_ms, addresses = steady_ms() - awake_ms(), local_addresses()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._conditions &= ~Condition.DISK_FULL
            now_asleep_ms, now_addresses = steady_ms() - awake_ms(), local_addresses()
            has_slept = now_asleep_ms - asleep_ms > _SLEPT_MS
            if has_slept or now_addresses != addresses:
                self.links.network_changed()
                if self.discovery is not None:
                    self.discovery.renew()
            asleep_ms, addresses = now_asleep_ms, now_addresses

    def _stop_services(self) -> None:
        for service in self._services:
            service.cancel()


def _short(digest: bytes) -> bytes:
    """Return what stands for a digest in frames: its hash, or nothing for nothing."""
    return hashlib.sha256(digest).digest() if digest else b""


def _observed(
    replica: Replica,
) -> tuple[
    Holding, KnownAddresses, Mapping[DeviceId, tuple[VersionVector, int | None]]
]:
    """Return what is held here, where devices were, and what they said they hold."""
    said = {
        peer: (vector, replica.heard_ms.get(peer))
        for peer, vector in replica.acknowledged.items()
    }
    return replica.holding, replica.read_addresses(), said
