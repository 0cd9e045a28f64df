"""A device among the others of its person, from entering to leaving.

Everything here is on the event loop: what is durable comes in by `committed`, what
peers say by their sessions, what a person wants by the API; links, sessions and what
is told of them follow.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from crdt.envelope_reader import EnvelopeReader
from crdt.errors import (
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
from daemon.mesh.checkpoint_spool import CheckpointSpool
from daemon.mesh.links import Links
from daemon.mesh.peer_record import Here, PeerRecord
from daemon.mesh.port import ReplicaOfPeer
from daemon.mesh.tending import tend
from daemon.owner import Owner
from transport.addresses import Address, parse_address
from transport.dialing import DialPolicy
from transport.discovery import Discovery, Found
from transport.exchange import Exchange
from transport.frames import (
    MAX_ADDRESSES,
    Addresses,
    Aside,
    Condition,
    Forward,
    PartialCheckpoint,
    Presence,
    Refusal,
)
from transport.ice_servers import IceServers
from transport.link import Link, LinkClosedError
from transport.local_addresses import local_addresses
from transport.session_names import SessionName
from transport.signalling import ClockSkewError
from transport.switchboard import Switchboard
from transport.sync import SyncSession
from transport.sync_actions import (
    CheckpointProgress,
    EndCause,
    Greeted,
    Holdings,
    News,
    NotAccepted,
    Progress,
    RosterState,
    Stalled,
    Standing,
)

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


@dataclass(frozen=True, slots=True)
class _Session:
    exchange: Exchange
    name: SessionName


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
        spool: CheckpointSpool,
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
        self._spool = spool
        self._sessions: dict[DeviceId, _Session] = {}
        self._run = clocks.randomness(8)
        self._serial = 0
        self._is_disk_full = False
        self._lacks_key = False
        self._unsaved: set[DeviceId] = set()
        self._presences_of: Callable[[], Sequence[Presence]] = lambda: ()
        self.book = AddressBook()
        self.peer_port = 0
        self._giver: DeviceId | None = None
        """The device that gives a checkpoint."""
        self.discovery: Discovery | None = None
        self.is_paused = False
        self.stalls = 0
        """How often something stalled since the start."""
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
            self.records[device] = PeerRecord(dict(vector), heard_ms)
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
        self._beside(self._tend())
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
            is_disk_full=self._is_disk_full,
            lacks_key=self._lacks_key,
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
        self._has_room()
        holdings = self.holdings()
        for session in list(self._sessions.values()):
            session.exchange.advanced(committed.advanced, holdings)

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements: who belongs, which keys there are."""
        self.holding = replace(self.holding, roster=change.roster)
        if change.has_new_keys:
            self._lacks_key = False
        for peer, session in list(self._sessions.items()):
            session.exchange.roster_changed(self.roster_state(peer))
        self._follow_roster()
        if change.statements:
            self._beside(self._tend())

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
        for session in self._sessions.values():
            session.exchange.tell(presence)

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

    def holdings(self) -> Holdings:
        """Return what is held durably now."""
        return Holdings(self.holding.vector, self.holding.digest or None)

    def roster_state(self, peer: DeviceId) -> RosterState:
        """Return what a session with a peer has to know of the roster."""
        roster = self.holding.roster
        return RosterState(
            fingerprint=roster.fingerprint,
            hashes=tuple(each.hash for each in roster.statements),
            peer=_standing(roster.member(peer)),
            me=_standing(roster.member(self.identity.device)),
        )

    def acknowledged(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Take note of what a peer holds durably: entries that grew."""
        self.record(peer).acknowledge(vector, self._clocks.wall_ms())
        self._unsaved.add(peer)

    def disk_is_full(self) -> None:
        """Take note that something could not be made durable for want of room."""
        if not self._is_disk_full:
            self._is_disk_full = True
            self._tell_condition()

    def report(self, peer: DeviceId, news: News) -> None:
        """Take note of what is new about a session."""
        self.record(peer).note(news, self.holding.vector)
        match news:
            case Greeted():
                self._greeted(peer, news)
            case NotAccepted(refusal=refusal, is_here=True):
                self._lacks_key |= refusal is Refusal.NO_KEY
                logger.warning("an envelope was not taken: %s", refusal.name.lower())
            case Progress() | CheckpointProgress():
                self._news("sync.progress", peer)
                return
            case Stalled(cause):
                self.stalls += 1
                logger.warning("synchronising stalled: %s", cause)
            case _:
                pass
        self._news("sync.state", peer)

    def may_give_checkpoint(self, peer: DeviceId) -> bool:
        """Whether no other device than this one gives a checkpoint."""
        if self._giver is None:
            self._giver = peer
        return self._giver == peer

    def checkpoint_taken(self) -> None:
        """Let another device give a checkpoint, if that is still needed."""
        self._giver = None
        for session in list(self._sessions.values()):
            session.exchange.checkpoint_possible()

    def hear(self, peer: DeviceId, frame: Aside) -> None:
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
        # Whoever was removed is told so by the session that is going on.
        self.links.want(others | self._sessions.keys())
        for peer in others:
            self.links.know(peer, self.book.of_device(peer))
        if self.discovery is not None:
            self.discovery.refresh()

    async def _converse(self, link: Link) -> None:
        """Bring the space into step over a link until it is over."""
        peer = link.peer
        self._serial += 1
        name = SessionName(
            self._owner.replica.keys.space,
            self.identity.device,
            peer,
            self._run,
            self._serial,
        )
        steady_ms = self._clocks.steady_ms
        session = SyncSession(
            name,
            self.holdings(),
            self.roster_state(peer),
            self._condition,
            steady_ms(),
        )
        port = ReplicaOfPeer(
            peer,
            self,
            self._owner,
            self._envelopes,
            self._threads,
            self._spool,
            self._clocks.wall_ms,
        )
        exchange = Exchange(session, link, port, steady_ms)
        replaced = self._sessions.get(peer)
        self._sessions[peer] = present = _Session(exchange, name)
        self.record(peer).link_made()
        if replaced is None:
            self._news("peer.online", peer)
        cause: EndCause | None = None
        try:
            partial = await self._owner.run(_partial)
            cause = await exchange.run(self._clocks.wall_ms(), partial)
            logger.info("a session ended: %s", cause)
        except LinkClosedError:
            pass
        finally:
            if self._sessions.get(peer) is present:
                del self._sessions[peer]
                self._ended(peer, cause)

    def _ended(self, peer: DeviceId, cause: EndCause | None) -> None:
        if self._giver == peer:
            self.checkpoint_taken()
        self.record(peer).session_ended(cause)
        self._news("peer.offline", peer)
        if peer not in self._others():
            self.links.want(self._others() | self._sessions.keys())

    def _greeted(self, peer: DeviceId, news: Greeted) -> None:
        """Say what goes beside the graph, once the peer has said hello."""
        session = self._sessions.get(peer)
        if session is None:
            return
        me = self.identity.device
        own = [(me, address) for address in self._own_addresses()]
        told = (*own, *self.book.told(self._others()))
        session.exchange.tell(Addresses(told[:MAX_ADDRESSES]))
        for presence in self._presences_of():
            session.exchange.tell(presence)

    @property
    def _condition(self) -> Condition:
        return Condition.DISK_FULL if self._is_disk_full else Condition.READY

    def _tell_condition(self) -> None:
        for session in list(self._sessions.values()):
            session.exchange.condition_changed(self._condition)

    def _has_room(self) -> None:
        if self._is_disk_full:
            self._is_disk_full = False
            self._tell_condition()

    def _own_addresses(self) -> list[str]:
        if not self.peer_port:
            return []
        found = (Address.checked(str(ip), self.peer_port) for ip in local_addresses())
        return [str(address) for address in found]

    def _learn(self, device: DeviceId, addresses: Sequence[Address]) -> None:
        now_ms = self._clocks.wall_ms()
        if self.book.learn(device, addresses, now_ms):
            self.links.know(device, self.book.of_device(device))

    def _hear_addresses(self, frame: Addresses) -> None:
        others = self._others()
        for identity, text in frame.addresses:
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

    def _beside(self, job: Coroutine[Any, Any, None]) -> None:
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
            self._has_room()
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


def _standing(member: Member | None) -> Standing:
    if member is None:
        return Standing.STRANGER
    return Standing.REMOVED if member.is_removed else Standing.MEMBER


def _partial(replica: Replica) -> PartialCheckpoint | None:
    """Return how far a checkpoint came that broke off."""
    present = replica.installation
    if present is None:
        return None
    return PartialCheckpoint(present.checkpoint, present.next_number)


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
