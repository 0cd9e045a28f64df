"""A device takes part in a circle: links, sessions, its card, what it owes others.

Everything here is on the event loop. Rules of this file:

1. What is due is looked at again and again: whatever failed is tried again.
2. Who goes is told so by the sessions that there are, then let go of. That holds for
   this person too.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from crdt.circle_card import Card, decode_card, make_card, newest, verify_card
from crdt.circle_duties import Duty, duties
from crdt.circle_items import ItemKind
from crdt.circle_keys import CircleIdentity
from crdt.circle_roster import is_present, person
from crdt.errors import FractalityError, PeerError
from crdt.ids import DeviceId
from crdt.keys import KEY_BYTES
from crdt.roster_writing import grant, rotate
from daemon.circles.changes import Change
from daemon.circles.connecting import Connecting
from daemon.circles.directory import (
    Directory,
    KnownDevice,
    directory,
    with_leaving,
)
from daemon.circles.introducing import Introductions
from daemon.circles.port import RecordsOfPeer, Surroundings
from daemon.circles.records import CircleRecords
from daemon.circles.talking import Talking
from daemon.mesh.space_view import Clocks
from transport.circle_actions import CircleEnd, CircleNews
from transport.circle_frames import CircleState, SetSummary
from transport.circle_ticket import reachable
from transport.ice_servers import IceServers

logger = logging.getLogger(__name__)

FAREWELL_MS: Final = 3_000
"""So long who was removed keeps its link, to learn of it."""
TURN_MS: Final = 2_000
"""So long a member waits for each of those whose turn to state something is before."""
_LOOK_SECONDS: Final = 2.0
_SUM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Means:
    """What taking part is built on."""

    clocks: Clocks
    servers: IceServers
    addresses: Callable[[], Sequence[str]]
    """Where this device can be reached now."""
    announce: Callable[[], None]
    """Lets the person's other devices know of this one's card."""


class TakingPart:
    """One device in one circle, from entering to leaving."""

    def __init__(
        self,
        who: CircleIdentity,
        records: CircleRecords,
        means: Means,
        result_hash: Callable[[], bytes | None],
    ) -> None:
        """Link with nobody yet; `result_hash` is that of what stands now, if known."""
        self._who = who
        self._records = records
        self._means = means
        self._result_hash = result_hash
        self._me = who.device.device
        self._author = who.author_key
        self._own: dict[DeviceId, Card] = {}
        self._known: Directory = {}
        self._leaving: dict[DeviceId, int] = {}
        self._owed: dict[Duty, int] = {}
        self._differing: set[DeviceId] = set()
        self.is_paused = False
        self.is_ended = False
        """Whether this person does not take part any more, and others know it."""
        self._some = asyncio.Event()
        self.talking = self._new_talking()
        self.introductions: Final = Introductions(who, records, self, self._find)
        self.connecting = Connecting(
            who,
            self.talking.converse,
            means.clocks,
            means.servers,
            self.introductions,
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin to link with devices of members."""
        for card in self._records.cards:
            if card.author == self._author:
                self._own[card.device] = card
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.connecting)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(tasks.create_task(self._keep_tending()).cancel)
            self._stack = stack.pop_all()
        self._follow()
        if self._own:
            # Whoever joins has a card already: its sisters find this device by it.
            self._means.announce()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every session and link."""
        await self._stack.aclose()

    def _new_talking(self) -> Talking:
        around = Surroundings(
            state=self.state,
            may_have=self._may_have,
            results_differ=lambda peer, here, there: self._differing.add(peer),
            report=self._hear,
            randomness=self._means.clocks.randomness,
        )
        return Talking(
            self._who.circle,
            self._me,
            port_of=lambda peer: RecordsOfPeer(peer, self._records, around),
            state=self.state,
            clocks=self._means.clocks,
            changed=self._some.set,
        )

    @property
    def card(self) -> Card | None:
        """The card of this device, once it has one."""
        return self._own.get(self._me)

    @property
    def own_cards(self) -> Sequence[Card]:
        """The cards of this person's devices, the newest ones."""
        return newest(self._own.values())

    @property
    def known(self) -> Directory:
        """The devices of members."""
        return self._known

    @property
    def do_results_differ(self) -> bool:
        """Whether a linked device computed something else from equal sets."""
        return bool(self._differing & self.talking.peers)

    def state(self) -> CircleState:
        """Return how this device stands, as it tells others."""
        sums = (self._records.sum(kind) for kind in ItemKind)
        statements, cards, contributions, votes = (
            SetSummary(each.count, each.total.to_bytes(_SUM_BYTES)) for each in sums
        )
        return CircleState(
            (statements, cards, contributions, votes),
            self._result_hash(),
            self.is_paused,
        )

    def pause(self, *, is_paused: bool) -> None:
        """Exchange nothing from now on, or go on; links stay, so that others know."""
        self.is_paused = is_paused
        self.talking.tell_state()

    def look(self) -> None:
        """Look now at what is due: something around this device changed."""
        self._some.set()

    def hear_cards(self, contents: Iterable[bytes]) -> None:
        """Take in where this person's other devices are; what is none is dropped."""
        for content in contents:
            try:
                card = decode_card(content)
                verify_card(card)
            except PeerError:
                continue
            held = self._own.get(card.device)
            is_news = held is None or held.sequence < card.sequence
            is_own = (card.circle, card.author) == (self._who.circle, self._author)
            if is_own and is_news:
                self._own[card.device] = card
        self._follow()

    def changed(self, change: Change) -> None:
        """Take note of what is durable now, and let others have it."""
        names = [each.name for each in change.new]
        self._differing.clear()
        self.talking.advance(change.kind, names, is_own=change.origin is None)
        until_ms = self._means.clocks.steady_ms() + FAREWELL_MS
        for device, each in self._known.items():
            if each.author in change.gone and each.author != self._author:
                self._leaving[device] = until_ms
        if change.are_members_changed or change.kind is ItemKind.CARD:
            self._follow()
        if change.are_members_changed:
            # What was refused for want of a member or a key may be taken now.
            self.talking.recheck()

    def _find(self, device: DeviceId) -> KnownDevice | None:
        return self._known.get(device)

    def _follow(self) -> None:
        """Link with the devices that there are now."""
        cards = (*self._records.cards, *self._own.values())
        known = directory(cards, self._records.members, self._author)
        self._known = with_leaving(known, self._known, self._leaving)
        self.connecting.follow(self._known)
        self._some.set()

    def _may_have(self, device: DeviceId, kind: ItemKind) -> bool:
        """Whether a device is given items of a kind, and may bring them."""
        if kind is ItemKind.STATEMENT:
            return True
        each = self._known.get(device)
        return each is not None and not each.is_removed and not self._is_gone()

    def _hear(self, device: DeviceId, news: CircleNews) -> None:
        self.talking.report(device, news)

    def _is_gone(self) -> bool:
        """Whether this person left or was removed."""
        member = person(self._records.roster, self._author)
        return member is not None and member.is_removed

    async def _keep_tending(self) -> None:
        while True:
            try:
                await self._tend()
            except FractalityError as error:
                logger.warning("a circle was not tended: %s", type(error).__name__)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._some.wait()
            except TimeoutError:
                pass
            self._some.clear()

    async def _tend(self) -> None:
        self._let_go()
        if self._is_gone():
            self.is_ended = self.is_ended or self._is_known_to_be_gone()
            return
        await self._renew_card()
        await self._fulfil()

    def _let_go(self) -> None:
        """End the links with those who had time enough to learn that they are out."""
        now_ms = self._means.clocks.steady_ms()
        late = [each for each, until_ms in self._leaving.items() if until_ms <= now_ms]
        for device in late:
            del self._leaving[device]
            self.talking.stop(device, CircleEnd.REMOVED)
        if late:
            self._follow()

    def _is_known_to_be_gone(self) -> bool:
        """Whether another member knows that this person is gone, or nobody is there."""
        member = person(self._records.roster, self._author)
        if member is None or not member.has_left:
            return True
        others = [
            each
            for each in self._records.roster.members.values()
            if not each.is_removed
        ]
        return not others or any(
            self.talking.has_all(device, ItemKind.STATEMENT)
            for device, each in self._known.items()
            if each.author != self._author
        )

    async def _renew_card(self) -> None:
        """Have a card that says where this device is, and have members get it."""
        addresses = reachable(self._means.addresses())
        card = self._own.get(self._me)
        if addresses and (card is None or set(card.addresses) != set(addresses)):
            now_ms = self._means.clocks.wall_ms()
            sequence = now_ms if card is None else max(now_ms, card.sequence + 1)
            self._own[self._me] = make_card(
                self._who.circle,
                self._who.author,
                self._who.device,
                sequence,
                addresses,
            )
            self._means.announce()
            self._follow()
        if not is_present(self._records.roster, self._author):
            return
        held = {each.id for each in self._records.cards}
        lacking = [each.content for each in self.own_cards if each.id not in held]
        if lacking:
            await self._records.keep(ItemKind.CARD, lacking, None)

    async def _fulfil(self) -> None:
        """State what members owe each other, when it is this one's turn."""
        now_ms = self._means.clocks.steady_ms()
        owed = duties(self._records.membership)
        self._owed = {each: self._owed.get(each, now_ms) for each in owed}
        for duty, since_ms in list(self._owed.items()):
            if now_ms - since_ms >= duty.turn * TURN_MS:
                await self._state(duty)

    async def _state(self, duty: Duty) -> None:
        member = duty.member
        if member is not None:
            await self._records.state(
                lambda roster, author, keys: grant(roster, author, keys, member)
            )
            return
        secret = self._means.clocks.randomness(KEY_BYTES)
        await self._records.state(
            lambda roster, author, keys: rotate(roster, author, keys, secret)
        )
