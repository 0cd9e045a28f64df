"""Works out what resonates while somebody watches, and tells what changed.

Rules of this file:

1. What was seen in a run before is recalled when a circle is opened.
2. Nothing is worked out for nobody: only if events are followed, or if the graph keeps
   consensus nodes, does a change of a circle lead to a look.
3. Changes are gathered: a circle is looked at so many seconds after the first of them.
4. A fault in one circle is logged by its place and leaves the others alone.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from crdt.errors import FractalityError
from crdt.events import Event
from crdt.ids import CircleId
from crdt.replica import Replica
from daemon.circles.bridge import Bridge
from daemon.circles.following import FADED, Standing
from daemon.circles.ports import CirclePort
from daemon.owner import Owner

logger = logging.getLogger(__name__)

CHANGED: Final = "consensus.changed"
"""Type of the events that tell how a consensus node stands."""
MOST_EVENTS: Final = 100
"""What changed at once beyond that is told as one event without a key."""
GATHER_SECONDS: Final = 1.0

Changes: TypeAlias = Iterable[Standing | bytes]


class Watching:
    """Looks at circles that changed, for as long as it runs."""

    def __init__(self, owner: Owner, is_watched: Callable[[], bool]) -> None:
        """Watch nothing yet."""
        self._owner = owner
        self._is_watched = is_watched
        self._changed: dict[CircleId, CirclePort] = {}
        self._told: asyncio.Queue[list[Event]] = asyncio.Queue()
        self._some = asyncio.Event()

    def changed(self, circle: CirclePort) -> None:
        """Take note that there is something new in a circle."""
        self._changed[circle.id] = circle
        self._some.set()

    def tell(self, circle: CircleId, changes: Changes) -> None:
        """Tell watchers what became of consensus nodes, a moment later."""
        events = consensus_events(circle, changes)
        if events:
            self._told.put_nowait(events)

    async def run(self, bridge: Bridge) -> None:
        """Look and tell, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_telling())
            while True:
                await self._some.wait()
                await asyncio.sleep(GATHER_SECONDS)
                self._some.clear()
                changed, self._changed = self._changed, {}
                for circle in changed.values():
                    await self._look(bridge, circle)

    async def _look(self, bridge: Bridge, circle: CirclePort) -> None:
        try:
            await bridge.recall(circle)
            if self._is_watched() or await bridge.keeps(circle.id):
                await bridge.look(circle)
        except FractalityError as error:
            logger.warning("a circle was not looked at: %s", type(error).__name__)

    async def _keep_telling(self) -> None:
        while True:
            events = await self._told.get()
            try:
                await self._owner.run(self._note(events))
            except FractalityError as error:
                logger.warning("watchers were not told: %s", type(error).__name__)

    def _note(self, events: list[Event]) -> Callable[[Replica], None]:
        return lambda replica: self._owner.tell(replica.note_events(events))


def consensus_events(circle: CircleId, changes: Changes) -> list[Event]:
    """Return what watchers are told of changes."""
    named = circle.hex()
    events = [
        Event(CHANGED, each.hex(), circle=named, state=FADED)
        if isinstance(each, bytes)
        else Event(
            CHANGED,
            each.key.hex(),
            circle=named,
            state=each.status,
            resonance=each.score / 10_000,
        )
        for each in changes
    ]
    if len(events) > MOST_EVENTS:
        return [Event(CHANGED, "", circle=named)]
    return events
