"""The sessions of one circle: one on each link, and what they tell.

Rule: whatever ends a session ends that one only; the link is made anew.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from consensus import rule
from crdt.circle_items import ItemKind, ItemName
from crdt.errors import DiskFullError, StoreError
from crdt.ids import CircleId, DeviceId
from daemon.circles.health import Talk
from daemon.mesh.space_view import Clocks
from transport.circle_actions import (
    CircleEnd,
    CircleNews,
    CircleSessionName,
    Greeted,
    Progress,
    Stalled,
)
from transport.circle_exchange import CircleExchange, CirclePort
from transport.circle_frames import CircleState
from transport.circle_session import CircleSession
from transport.link import Link, LinkClosedError

logger = logging.getLogger(__name__)

_RUN_BYTES: Final = 8


@dataclass(slots=True, eq=False)
class _Going:
    """A session that goes on."""

    exchange: CircleExchange
    progress: Progress | None = None
    is_greeted: bool = False
    is_stalled: bool = False

    @property
    def talk(self) -> Talk:
        """The same as it is told."""
        progress = self.progress
        return Talk(
            is_greeted=self.is_greeted,
            is_equal=progress is not None and progress.is_equal,
            is_paused_there=progress is not None and progress.is_paused_there,
            is_stalled=self.is_stalled,
        )


class Talking:
    """Runs a session on each link of a circle."""

    def __init__(
        self,
        circle: CircleId,
        me: DeviceId,
        *,
        port_of: Callable[[DeviceId], CirclePort],
        state: Callable[[], CircleState],
        clocks: Clocks,
        changed: Callable[[], None],
    ) -> None:
        """Take what sessions work with, and who is told of ends and of equal sets."""
        self._circle = circle
        self._me = me
        self._port_of = port_of
        self._state = state
        self._clocks = clocks
        self._changed = changed
        self._run = clocks.randomness(_RUN_BYTES)
        self._serial = 0
        self._going: dict[DeviceId, _Going] = {}
        self.last_end: CircleEnd | None = None
        """Why the last session ended, None once another is well."""

    @property
    def peers(self) -> frozenset[DeviceId]:
        """The devices with which there is a session."""
        return frozenset(self._going)

    @property
    def talks(self) -> Sequence[Talk]:
        """How the sessions stand."""
        return [each.talk for each in self._going.values()]

    async def converse(self, link: Link) -> None:
        """Bring the circle into step over a link until it is over."""
        peer = link.peer
        going = self._going[peer] = _Going(self._new_exchange(link))
        cause: CircleEnd | None = None
        try:
            cause = await going.exchange.run()
            logger.info("a session of a circle ended: %s", cause)
        except* LinkClosedError:
            pass
        except* DiskFullError:
            cause = CircleEnd.DISK_FULL
        except* StoreError as errors:
            logger.warning("a session ended by %s", type(errors.exceptions[0]).__name__)
        finally:
            if self._going.get(peer) is going:
                del self._going[peer]
            self.last_end = cause
            self._changed()

    def report(self, peer: DeviceId, news: CircleNews) -> None:
        """Take note of what is new about the session with a device."""
        going = self._going.get(peer)
        if going is None:
            return
        match news:
            case Greeted():
                going.is_greeted = True
            case Progress():
                going.progress, self.last_end = news, None
                if news.is_equal:
                    self._changed()
            case Stalled(since_ms):
                going.is_stalled = since_ms is not None
                if going.is_stalled:
                    logger.warning("synchronising a circle stalled")

    def advance(
        self, kind: ItemKind, names: Sequence[ItemName], *, is_own: bool
    ) -> None:
        """Let every session know what is durable here now."""
        for each in list(self._going.values()):
            each.exchange.changed(kind, names, is_own=is_own)

    def tell_state(self) -> None:
        """Let every peer know how this device stands: pause or result changed."""
        self.advance(ItemKind.VOTE, (), is_own=True)

    def recheck(self) -> None:
        """Look again for what was refused: the cause may be gone."""
        for each in list(self._going.values()):
            each.exchange.recheck()

    def has_all(self, peer: DeviceId, kind: ItemKind) -> bool:
        """Whether a linked device holds the same set of a kind."""
        going = self._going.get(peer)
        progress = None if going is None else going.progress
        return progress is not None and progress.sets[kind].is_equal

    def stop(self, peer: DeviceId, cause: CircleEnd) -> None:
        """End the session with a device, once it was told what it has to know."""
        going = self._going.get(peer)
        if going is not None:
            going.exchange.stop(cause)

    def _new_exchange(self, link: Link) -> CircleExchange:
        self._serial += 1
        name = CircleSessionName(
            self._circle, self._me, link.peer, self._run, self._serial
        )
        steady_ms = self._clocks.steady_ms
        session = CircleSession(name, rule.NAME, self._state(), steady_ms())
        return CircleExchange(session, link, self._port_of(link.peer), steady_ms)
