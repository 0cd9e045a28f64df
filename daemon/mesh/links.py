"""Links to all devices that should have one: what the dial policy decides, done.

Rules of this file:

1. Whatever becomes of a dial or of what is said over a link, the policy hears of it: a
   device that is wanted and not linked is always tried again.
2. A new link to a device takes over before the one it replaces is ended.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias, assert_never

from crdt.ids import DeviceId
from daemon.faults import places
from daemon.mesh.calling import Forwarding, Introducing, call
from transport.addresses import Address
from transport.dialing import Abandon, Action, Dial, DialPolicy, HangUp
from transport.link import Link
from transport.reasons import Failure, FailureCause, Reason
from transport.switchboard import Switchboard

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""How often links are looked at for silence."""
Conversation: TypeAlias = Callable[[Link], Awaitable[None]]
"""What is said over a link, until it is over."""


class Links:
    """All links of this device, from entering to leaving."""

    def __init__(
        self,
        policy: DialPolicy,
        switchboard: Switchboard,
        forwarding: Forwarding,
        introducing: Introducing,
        converse: Conversation,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        """Dial nobody yet; `now_ms` is of a clock that goes on during sleep."""
        self._policy = policy
        self._switchboard = switchboard
        self._forwarding = forwarding
        self._introducing = introducing
        self._converse = converse
        self._now_ms = now_ms
        self._open: dict[DeviceId, dict[Link, asyncio.Task[None]]] = {}
        self._doubted: set[DeviceId] = set()
        self._dials: dict[tuple[DeviceId, int], asyncio.Task[None]] = {}
        self._reached: dict[DeviceId, Address] = {}
        self._changed = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._services: tuple[asyncio.Task[None], ...] = ()
        self._is_closing = False

    async def __aenter__(self) -> Self:
        """Begin to take links and to make them."""
        await self._tasks.__aenter__()
        self._services = (
            self._tasks.create_task(self._keep_time()),
            self._tasks.create_task(self._take_accepted()),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give up dials and end every link."""
        self._is_closing = True
        for links in self._open.values():
            _end(links.values())
        for task in (*self._services, *self._dials.values()):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    def link(self, peer: DeviceId) -> Link | None:
        """Return the newest link to a device."""
        return next(reversed(self._open.get(peer, {})), None)

    @property
    def linked(self) -> frozenset[DeviceId]:
        """The devices to which there is a link."""
        return frozenset(self._open)

    @property
    def wanted(self) -> frozenset[DeviceId]:
        """The devices to which there should be a link."""
        return self._policy.wanted

    def take_reached(self) -> dict[DeviceId, Address]:
        """Return at which addresses devices were reached since the last call."""
        reached, self._reached = self._reached, {}
        return reached

    def want(self, peers: frozenset[DeviceId]) -> None:
        """Keep links to these devices and to no others."""
        self._perform(self._policy.want(peers, self._now_ms()))

    def know(self, peer: DeviceId, addresses: Sequence[Address]) -> None:
        """Look for a device at these addresses, best first."""
        self._perform(self._policy.know(peer, addresses, self._now_ms()))

    def answering(self, peer: DeviceId) -> None:
        """Take note that an offer of a device is being answered."""
        self._perform(self._policy.answering(peer, self._now_ms()))

    def network_changed(self) -> None:
        """Take note that this machine woke up or has other addresses."""
        self._perform(self._policy.network_changed(self._now_ms()))

    def sync_now(self) -> None:
        """Try every device that has no link without waiting any longer."""
        self._perform(self._policy.sync_now(self._now_ms()))

    def pause(self, *, is_paused: bool) -> None:
        """End all links and dial nobody, or go on."""
        self._perform(self._policy.pause(self._now_ms(), is_paused=is_paused))

    def explain(self, peer: DeviceId) -> Reason:
        """Return why there is or is no link to a device."""
        return self._policy.explain(peer, self._now_ms())

    def _perform(self, actions: Sequence[Action]) -> None:
        if self._is_closing:
            return
        for action in actions:
            match action:
                case Dial():
                    dial = self._tasks.create_task(self._dial(action))
                    self._dials[action.peer, action.attempt] = dial
                case Abandon():
                    running = self._dials.pop((action.peer, action.attempt), None)
                    if running is not None:
                        running.cancel()
                case HangUp():
                    _end(self._open.get(action.peer, {}).values())
                case _:
                    assert_never(action)
        self._changed.set()

    async def _dial(self, dial: Dial) -> None:
        try:
            outcome = await call(
                self._switchboard,
                dial.peer,
                dial.steps,
                self._forwarding,
                self._introducing,
            )
        except Exception as error:  # noqa: BLE001  # a dial that fails is tried again
            logger.error("a dial failed by %s", places(error))  # noqa: TRY400  # no content
            outcome = Failure(FailureCause.UNANSWERED)
        self._dials.pop((dial.peer, dial.attempt), None)
        if isinstance(outcome, Failure):
            actions = self._policy.dial_failed(
                dial.peer, dial.attempt, outcome, self._now_ms()
            )
            self._perform(actions)
        elif outcome is None:
            self.answering(dial.peer)
        else:
            if outcome.address is not None:
                self._reached[dial.peer] = outcome.address
            self._take(outcome.link)

    async def _take_accepted(self) -> None:
        while True:
            self._take(await self._switchboard.accept())

    def _take(self, link: Link) -> None:
        """Let a new link take over from those to the same device."""
        if self._is_closing:
            return
        links = self._open.setdefault(link.peer, {})
        replaced = list(links.values())
        links[link] = self._tasks.create_task(self._hold(link))
        self._doubted.discard(link.peer)
        self._perform(self._policy.link_up(link.peer, self._now_ms()))
        _end(replaced)

    async def _hold(self, link: Link) -> None:
        try:
            await self._converse(link)
        except Exception as error:  # noqa: BLE001  # ends this link only; it is made anew
            logger.error("a link ended by %s", places(error))  # noqa: TRY400  # no content
        finally:
            links = self._open[link.peer]
            del links[link]
            if not links:
                del self._open[link.peer]
                self._doubted.discard(link.peer)
                self._perform(self._policy.link_down(link.peer, self._now_ms()))
            await link.aclose()

    async def _keep_time(self) -> None:
        while True:
            due_ms = self._policy.wake_ms(self._now_ms())
            wait = _LOOK_SECONDS
            if due_ms is not None:
                wait = min(wait, max(0.0, (due_ms - self._now_ms()) / 1000))
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            self._look_for_silence()
            actions = self._policy.expire(self._now_ms())
            if actions:
                self._perform(actions)

    def _look_for_silence(self) -> None:
        now_ms = self._now_ms()
        for peer in list(self._open):
            link = self.link(peer)
            is_suspect = link is not None and link.is_suspect
            if is_suspect and peer not in self._doubted:
                self._doubted.add(peer)
                self._perform(self._policy.link_doubtful(peer, now_ms))
            elif not is_suspect and peer in self._doubted:
                self._doubted.discard(peer)
                self._perform(self._policy.link_recovered(peer, now_ms))


def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, each once it has begun: one that never begins cleans up nothing."""
    for task in list(tasks):
        asyncio.get_running_loop().call_soon(task.cancel)
