"""The circles of this person on this device, from entering to leaving.

Rules of this file:

1. Each circle runs by itself: a fault in one leaves the others alone.
2. A stranger's question costs little: few are opened in a time, each for few circles.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from consensus.rule import Preset
from crdt.circle_card import make_card
from crdt.circle_items import ItemKind
from crdt.circle_keys import (
    CircleIdentity,
    circle_identity,
    encode_circle_keys,
    no_circle_keys,
)
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import decode_founding, found_circle
from crdt.circle_store import StoredCircle, read_circles
from crdt.errors import ConflictError, FractalityError, NotFoundError
from crdt.identity import Identity
from crdt.ids import CircleId, SpaceId
from crdt.keys import KEY_BYTES
from crdt.statement import Statement, decode_statement
from daemon.circles.announcing import announcements
from daemon.circles.circle import Base, Circle
from daemon.circles.entering import HANDLER_NAME, Ways, enter, founding_of
from daemon.circles.keeping import Clocks as KeepingClocks
from daemon.circles.opening import begin_circle, open_circle
from daemon.circles.shelf import Shelf
from daemon.circles.taking_part import Means
from daemon.faults import places
from daemon.mesh.calling import ENROL, SIGNAL
from transport.circle_ticket import parse_ticket, reachable
from transport.endpoint import Handler
from transport.frames import Circles as Announcement
from transport.frames import OwnCircle
from transport.limits import Buckets

logger = logging.getLogger(__name__)

MAX_CIRCLES: Final = 64
QUESTIONS_AT_ONCE: Final = 64
QUESTIONS_PER_SECOND: Final = 16
_SPACE_BYTES: Final = 16
_LEAST_PREFIX: Final = 4
_SETTLE_SECONDS: Final = 0.5


class Circles:
    """All circles that this person is or was in."""

    def __init__(
        self,
        identity: Identity,
        shelf: Shelf,
        means: Means,
        *,
        ways: Ways,
    ) -> None:
        """Open nothing yet."""
        self._identity = identity
        self._shelf = shelf
        self._means = means
        self._ways = ways
        self._circles: dict[CircleId, Circle] = {}
        self._tasks = asyncio.TaskGroup()
        self._stack = AsyncExitStack()
        self._running: dict[CircleId, asyncio.Task[None]] = {}
        self._opening = asyncio.Lock()
        self._buckets = Buckets(
            burst=QUESTIONS_AT_ONCE, per_second=QUESTIONS_PER_SECOND
        )
        self._threads = ThreadPoolExecutor(1, "consensus")
        self._base = Base(shelf, means, self._threads, self._tell)
        self._is_paused = False
        self.on_change: Callable[[Circle], None] = lambda circle: None
        """Is told whenever something is new in a circle."""
        self.on_open: Callable[[Circle], None] = lambda circle: None
        """Is told of each circle once, before anything else of it."""

    async def __aenter__(self) -> Self:
        """Open what the store has, and begin to take part."""
        async with AsyncExitStack() as stack:
            stack.callback(self._threads.shutdown, cancel_futures=True)
            await stack.enter_async_context(self._tasks)
            stack.callback(self._tasks.create_task(self._keep_settling()).cancel)
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        for stored in await self._shelf.read(read_circles):
            try:
                await self._open(stored)
            except FractalityError as error:
                logger.error("a circle was not opened: %s", type(error).__name__)  # noqa: TRY400  # no content
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every link, and wait for what was begun."""
        await self._stack.aclose()
        for circle in self._circles.values():
            await circle.records.close()

    def handlers(self, others: dict[str, Handler]) -> dict[str, Handler]:
        """Return what is done with requests to the endpoint, that of `others` first."""

        async def signal(sealed: bytes, source: str) -> bytes | None:
            answer = await others[SIGNAL](sealed, source)
            if answer is not None:
                return answer
            return await self._answer_offer(sealed, source)

        async def enrol(sealed: bytes, source: str) -> bytes | None:
            answer = await others[ENROL](sealed, source)
            if answer is not None:
                return answer
            return await self._answer_introduction(sealed)

        return {
            **others,
            SIGNAL: signal,
            ENROL: enrol,
            HANDLER_NAME: self._answer_question,
        }

    def all(self) -> Sequence[Circle]:
        """Return the circles that this person is or was in."""
        return list(self._circles.values())

    def circle(self, text: str) -> Circle:
        """Return the circle with this id, beginning of an id, or name.

        Raises `NotFoundError`.
        """
        wanted = text.strip()
        found = [each for each in self._circles.values() if each.name == wanted]
        if not found and len(wanted) >= _LEAST_PREFIX:
            prefix = wanted.lower()
            found = [
                each
                for each in self._circles.values()
                if each.id.hex().startswith(prefix)
            ]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFoundError("Several circles are called so; name one by its id.")
        message = "You are in no such circle; 'fractality circle list' shows yours."
        raise NotFoundError(message)

    async def found(self, name: str, preset: Preset, alias: str | None) -> Circle:
        """Found a circle; raises `InvalidError` for a name that nobody could read."""
        self._check_room()
        randomness = self._means.clocks.randomness
        founding, keys = found_circle(
            self._identity,
            SpaceId(randomness(_SPACE_BYTES)),
            randomness(KEY_BYTES),
            name=name,
            preset=preset.value.byte,
            alias=alias,
        )
        statement = decode_statement(founding)
        who = circle_identity(self._identity, statement)
        membership = CircleMembership.of(who.author, keys, (statement,))
        return await self._begin(statement, membership)

    async def join(self, ticket: str, alias: str | None) -> Circle:
        """Join the circle of a ticket.

        Raises `InvalidError` for what is no ticket, `NotFoundError` if nobody answers,
        `ConflictError` if the inviter refuses.
        """
        parsed = parse_ticket(ticket)
        known = self._circles.get(parsed.circle)
        if known is not None and known.is_active:
            raise ConflictError("You are in this circle already; nothing was changed.")
        if known is not None:
            message = (
                "You were in this circle and have left it or were removed. That is"
                " final for this circle; nothing was changed."
            )
            raise ConflictError(message)
        self._check_room()
        founding = founding_of(parsed)
        entered = await enter(self._identity, parsed, alias, self._card, self._ways)
        circle = await self._begin(founding, entered.membership)
        circle.part.hear_cards((entered.card,))
        await circle.records.keep(ItemKind.CARD, entered.gift.cards)
        return circle

    def pause(self, *, is_paused: bool) -> None:
        """Exchange nothing from now on, or go on."""
        self._is_paused = is_paused
        for circle in self._circles.values():
            circle.part.pause(is_paused=is_paused)

    def sync_now(self) -> None:
        """Try every device that has no link without waiting any longer."""
        for circle in self._circles.values():
            circle.part.connecting.sync_now()

    def network_changed(self) -> None:
        """Take note that this machine woke up or has other addresses."""
        for circle in self._circles.values():
            circle.part.connecting.network_changed()
        self.look()

    def look(self) -> None:
        """Look now at what is due: this device may have another address."""
        for circle in self._circles.values():
            circle.part.look()

    def announcements(self) -> Iterable[Announcement]:
        """Return what the person's other devices are told."""
        return announcements(each.own for each in self._circles.values())

    async def hear(self, announcement: Announcement) -> None:
        """Take part in what another of the person's devices takes part in."""
        for told in announcement.circles:
            try:
                await self._hear(told)
            except FractalityError as error:
                logger.warning("a circle was not taken up: %s", type(error).__name__)

    async def _hear(self, told: OwnCircle) -> None:
        circle = self._circles.get(told.circle)
        if circle is None:
            if told.has_left or len(self._circles) >= MAX_CIRCLES:
                return
            statement = decode_founding(told.founding, told.circle)
            who = circle_identity(self._identity, statement)
            keys = no_circle_keys(told.circle, statement.space)
            membership = CircleMembership.of(who.author, keys, (statement,))
            circle = await self._begin(statement, membership)
        circle.part.hear_cards(told.cards)
        if told.has_left and circle.is_active:
            await circle.end()

    def _card(self, who: CircleIdentity) -> bytes:
        """Return the card with which this device comes into a circle."""
        addresses = reachable(self._means.addresses())
        now_ms = self._means.clocks.wall_ms()
        return make_card(who.circle, who.author, who.device, now_ms, addresses).content

    async def _begin(self, founding: Statement, membership: CircleMembership) -> Circle:
        """Make a circle durable and take part in it, once."""
        async with self._opening:
            known = self._circles.get(membership.circle)
            if known is not None:
                return known
            await begin_circle(self._shelf, founding.encoded, membership)
            circle = await self._open(
                StoredCircle(
                    membership.circle,
                    founding.encoded,
                    encode_circle_keys(membership.keys),
                )
            )
        self._means.announce()
        return circle

    async def _open(self, stored: StoredCircle) -> Circle:
        clocks = KeepingClocks(self._means.clocks.wall_ms, self._means.clocks.awake_ms)
        records = await open_circle(self._shelf, stored, self._identity, clocks)
        circle = Circle(stored, records, self._base)
        circle.part.pause(is_paused=self._is_paused)
        self._circles[circle.id] = circle
        self.on_open(circle)
        self._running[circle.id] = self._tasks.create_task(self._run(circle))
        self._tell(circle)
        return circle

    async def _run(self, circle: Circle) -> None:
        try:
            await circle.run()
        except Exception as error:  # noqa: BLE001  # the other circles go on
            logger.error("a circle ended by %s", places(error))  # noqa: TRY400  # no content

    async def _keep_settling(self) -> None:
        while True:
            await asyncio.sleep(_SETTLE_SECONDS)
            for circle in list(self._circles.values()):
                circle.settle()

    async def _answer_offer(self, sealed: bytes, source: str) -> bytes | None:
        for circle in list(self._circles.values()):
            answer = await circle.part.connecting.answer(sealed, source)
            if answer is not None:
                return answer
        return None

    async def _answer_introduction(self, sealed: bytes) -> bytes | None:
        for circle in list(self._circles.values()):
            answer = await circle.part.introductions.answer(sealed)
            if answer is not None:
                return answer
        return None

    async def _answer_question(self, sealed: bytes, source: str) -> bytes | None:
        if not self._buckets.take("", self._means.clocks.steady_ms() / 1000):
            return None
        for circle in list(self._circles.values()):
            question = circle.inviting.opened(sealed)
            if question is not None:
                return await circle.inviting.answer(question)
        return None

    def _tell(self, circle: Circle) -> None:
        self.on_change(circle)

    def _stop(self) -> None:
        for task in self._running.values():
            task.cancel()

    def _check_room(self) -> None:
        if len(self._circles) >= MAX_CIRCLES:
            message = f"This person is in {MAX_CIRCLES} circles, as many as can be."
            raise ConflictError(message)
