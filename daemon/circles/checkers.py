"""The checking of all circles of this device, from entering to leaving.

Rule: a fault in one circle leaves the others alone.
"""

import asyncio
import logging
from types import TracebackType
from typing import Final, Protocol, Self

from crdt.ids import CircleId
from daemon.circles.checking import NOTHING, Checking, Checks, Model, Records
from daemon.circles.shelf import Shelf
from daemon.faults import places

logger: Final = logging.getLogger(__name__)


class Circle(Protocol):
    """What is checked."""

    @property
    def id(self) -> CircleId:
        """Which circle it is."""

    @property
    def records(self) -> Records:
        """Its contributions."""


class Checkers:
    """One checker to a circle."""

    def __init__(self, shelf: Shelf, model: Model) -> None:
        """Check nothing yet."""
        self._shelf = shelf
        self._model = model
        self._checkers: dict[CircleId, Checking] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Be ready to be told of circles."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what is unchecked is checked when the program runs again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def opened(self, circle: Circle) -> None:
        """Check what is in a circle, and what comes into it from now on."""
        checker = Checking(circle.id, circle.records, self._shelf, self._model)
        self._checkers[circle.id] = checker
        circle.records.on_change(lambda change: checker.arrived(change.contributions))
        self._tasks.add(asyncio.create_task(_run(checker)))

    def checks(self, circle: CircleId) -> Checks:
        """Return how checking stands; of a circle not told of there is nothing."""
        checker = self._checkers.get(circle)
        return NOTHING if checker is None else checker.standing()


async def _run(checker: Checking) -> None:
    try:
        await checker.run()
    except Exception as error:  # noqa: BLE001  # the other circles go on
        logger.error("checking ended by %s", places(error))  # noqa: TRY400  # no content
