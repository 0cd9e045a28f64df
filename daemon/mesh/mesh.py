"""A device among the others of its person, from entering to leaving.

Everything here is on the event loop: what is durable comes in by `committed`, what
peers say by their sessions, what a person wants by the API; links, sessions and what
is told of them follow.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

from crdt.committed import Committed
from crdt.envelope_reader import EnvelopeReader
from crdt.errors import FractalityError, PeerError, StoreError
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.known_addresses import write_addresses
from crdt.membership import RosterChange
from crdt.pause import write_pause
from crdt.replica import Replica
from crdt.roster import Member
from daemon.mesh.calling import ENROL, SIGNAL
from daemon.mesh.carrying import Carrying
from daemon.mesh.checkpoint_spool import CheckpointSpool
from daemon.mesh.introduction import Introductions
from daemon.mesh.links import Links
from daemon.mesh.peer_record import PeerRecord
from daemon.mesh.port import Around, ReplicaOfPeer
from daemon.mesh.sessions import Sessions
from daemon.mesh.space_view import Clocks, SpaceView, observed
from daemon.mesh.tending import tend
from daemon.mesh.whereabouts import Whereabouts
from daemon.owner import Owner
from transport.address_book import AddressBook
from transport.addresses import parse_address
from transport.dialing import DialPolicy
from transport.endpoint import Handler
from transport.frames import Addresses, Aside, Circles, Forward, Presence
from transport.ice_servers import IceServers
from transport.link import Link
from transport.signalling import ClockSkewError
from transport.switchboard import Switchboard

logger = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 1.0
"""What peers acknowledged is handed to the store at most so often."""
Notice: TypeAlias = Callable[[str, DeviceId], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mesh is built on."""

    owner: Owner
    identity: Identity
    envelopes: EnvelopeReader
    threads: ThreadPoolExecutor
    """One thread, for `envelopes` and `spool`."""
    spool: CheckpointSpool
    clocks: Clocks
    servers: IceServers


class OwnCircles(Protocol):
    """The circles of this person, as far as a mesh has to do with them."""

    def announcements(self) -> Iterable[Circles]:
        """Return what other devices of the person are told."""

    async def hear(self, announcement: Circles, /) -> None:
        """Take what another of them tells."""

    def network_changed(self) -> None:
        """Take note that this machine woke up or has other addresses."""

    def pause(self, *, is_paused: bool) -> None:
        """Exchange nothing from now on, or go on."""

    def sync_now(self) -> None:
        """Try every device that has no link without waiting any longer."""


class Mesh:
    """Links, sessions, and what is known of every other device."""

    view: SpaceView
    links: Links
    whereabouts: Whereabouts

    def __init__(
        self,
        parts: Parts,
        *,
        tell: Notice = lambda kind, peer: None,
        heard: Callable[[DeviceId, Presence], None] = lambda peer, frame: None,
        presences: Callable[[], Sequence[Presence]] = lambda: (),
    ) -> None:
        """Link with nobody yet.

        `tell` is told what happens to a device, `heard` who edits what elsewhere;
        `presences` says who edits what here.
        """
        self._parts = parts
        self._tell = tell
        self._heard = heard
        self._presences = presences
        self.circles: OwnCircles | None = None
        """Set by who composes this with circles."""
        self._told_before: Committed | None = None
        """The last commit before there was a view."""
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Look at what is held, and begin to link."""
        parts = self._parts
        self._told_before = None
        start = await parts.owner.run(observed)
        # A commit that was told while that look was on its way is the newer one.
        newer = self._told_before and self._told_before.holding
        self.view = SpaceView(parts.identity, newer or start.holding, start.is_paused)
        for device, vector in start.acknowledged.items():
            heard_ms = start.heard_ms.get(device)
            self.view.records[device] = PeerRecord(dict(vector), heard_ms)
        self._make_links(AddressBook.of(start.addresses))
        self._make_sessions()
        await self._begin()
        return self

    def _make_links(self, book: AddressBook) -> None:
        parts = self._parts
        self._switchboard = Switchboard(
            parts.identity,
            self._member,
            servers=parts.servers,
            refused=self._offer_refused,
        )
        self._introductions = Introductions(
            parts.identity, parts.owner, self._member, self.roster_changed, parts.clocks
        )
        self.links = Links(
            DialPolicy(parts.identity.device, parts.clocks.dice),
            self._switchboard,
            self._forward,
            self._introductions,
            self._converse,
            now_ms=parts.clocks.steady_ms,
        )
        self.whereabouts = Whereabouts(self.view, self.links, book, parts.clocks)
        if self.circles is not None:
            self.whereabouts.moved = self.circles.network_changed

    def _make_sessions(self) -> None:
        parts = self._parts
        self._sessions = Sessions(
            self.view,
            parts.owner.replica.keys.space,
            self._port_of,
            parts.clocks,
            roster_changed=self.roster_changed,
            greeted=self._greet,
            heard=self._hear,
            tell=self._tell,
        )
        self._carrying = Carrying(
            self.view,
            parts.clocks,
            say=self._sessions.say,
            answer=self._switchboard.answer,
            beside=self._beside,
            linked=lambda: self._sessions.peers,
        )

    async def _begin(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tasks)
            await stack.enter_async_context(self._switchboard)
            await stack.enter_async_context(self.links)
            looking = self.whereabouts.keep_looking(self._sessions.try_again)
            services = [
                self._tasks.create_task(self._keep_saving()),
                self._tasks.create_task(looking),
            ]
            for service in services:
                stack.callback(service.cancel)
            self._stack = stack.pop_all()
        self._follow_roster()
        self._beside(self._tend())

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
    def handlers(self) -> dict[str, Handler]:
        """What is done with requests to the endpoint, by name."""
        return {
            SIGNAL: self._switchboard.answer,
            ENROL: self._introductions.answer,
        }

    @property
    def is_running(self) -> bool:
        """Whether it was entered."""
        return hasattr(self, "view")

    def committed(self, committed: Committed) -> None:
        """Take note of what became durable here, and let peers have it."""
        if committed.holding is None:
            return
        if not self.is_running:
            self._told_before = committed
            return
        self.view.holding = committed.holding
        self._sessions.committed(committed)

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements: who belongs, which keys there are."""
        before = self.view.others
        self.view.holding = replace(self.view.holding, roster=change.roster)
        for device in before - self.view.others:
            self._tell("sync.state", device)
        if change.has_new_keys:
            self.view.lacks_key = False
        self._sessions.statements_changed()
        self._follow_roster()
        if change.statements:
            self._beside(self._tend())

    def try_address(self, text: str) -> str:
        """Look for every device that has no link at this address, too.

        Raises `InvalidError`.
        """
        address = parse_address(text)
        for device in self.view.others - self.links.linked:
            self.whereabouts.learn(device, (address,))
        self.links.sync_now()
        return str(address)

    def pause(self, *, is_paused: bool) -> None:
        """Exchange nothing from now on, or go on; links stay, so that others know."""
        remember = partial(write_pause, is_paused=is_paused)
        self.view.is_paused = is_paused
        self._sessions.tell_condition()
        self._beside(self._parts.owner.run(lambda each: each.put_aside(remember)))
        if self.circles is not None:
            self.circles.pause(is_paused=is_paused)

    def say(self, frame: Aside) -> None:
        """Tell every linked device something that goes beside the graph."""
        if self.is_running:
            self._sessions.say(frame)

    def _port_of(self, peer: DeviceId, around: Around) -> ReplicaOfPeer:
        parts = self._parts
        return ReplicaOfPeer(
            peer,
            around,
            parts.owner,
            parts.envelopes,
            parts.threads,
            parts.spool,
            parts.clocks.wall_ms,
        )

    def _member(self, device: DeviceId, /) -> Member | None:
        return self.view.member(device)

    def _follow_roster(self) -> None:
        """Link with who belongs to the space, and let go of who does not any more."""
        # Whoever was removed is told so by the session that is going on.
        self.links.want(self.view.others | self._sessions.peers)
        self.whereabouts.follow_roster()

    async def _converse(self, link: Link) -> None:
        try:
            await self._sessions.converse(link)
        finally:
            if link.peer not in self.view.others:
                self.links.want(self.view.others | self._sessions.peers)

    def _greet(self, peer: DeviceId) -> None:
        """Say what goes beside the graph, once a peer has said hello."""
        self._sessions.say(self.whereabouts.told(), peer)
        for presence in self._presences():
            self._sessions.say(presence, peer)
        if self.circles is not None:
            for announcement in self.circles.announcements():
                self._sessions.say(announcement, peer)

    async def _forward(self, peer: DeviceId, offer: bytes) -> bytes | None:
        return await self._carrying.ask(peer, offer)

    def _hear(self, peer: DeviceId, frame: Aside) -> None:
        match frame:
            case Presence():
                self._heard(peer, frame)
            case Addresses():
                self.whereabouts.hear(peer, frame)
            case Forward():
                self._carrying.hear(peer, frame)
            case Circles():
                if self.circles is not None:
                    self._beside(self.circles.hear(frame))

    def _offer_refused(self, error: PeerError) -> None:
        """Take note of why an offer was dropped: some causes a person can mend."""
        if isinstance(error, ClockSkewError):
            self.view.record(error.device).skew_ms = error.skew_ms
            self._tell("sync.state", error.device)

    async def _tend(self) -> None:
        """State what an admin owes the others."""
        clocks = self._parts.clocks
        changes = await self._parts.owner.run(
            lambda replica: tend(replica, clocks.randomness, clocks.wall_ms())
        )
        for change in changes:
            self.roster_changed(change)

    def _beside(self, job: Awaitable[None]) -> None:
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
        self.whereabouts.note_reached()
        unsaved, book = set(self._sessions.unsaved), self.whereabouts.book
        said = {peer: dict(self.view.record(peer).vector) for peer in unsaved}
        self._sessions.unsaved.clear()
        now_ms = self._parts.clocks.wall_ms()
        known = book.stored(now_ms) if book.is_changed else None
        book.is_changed = False
        if not said and known is None:
            return

        def note(replica: Replica) -> None:
            for peer, vector in said.items():
                replica.note_acknowledged(peer, vector, now_ms)
            if known is not None:
                replica.put_aside(lambda aside: write_addresses(aside, known))

        try:
            await self._parts.owner.run(note)
        except StoreError:
            # Said again by the peers only when they next say hello.
            self._sessions.unsaved |= said.keys()
            book.is_changed |= known is not None
