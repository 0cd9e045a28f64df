"""Thoughts on their way: said at once, and what they resonate with a little later.

A job lives in memory only. The thought itself is a node like any other, durable before
anybody is told of it; what is lost with a restart is a figure that can be asked again.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from consensus.errors import EmbeddingError
from crdt.database import Connection
from crdt.errors import FractalityError, NotFoundError
from crdt.events import Event
from crdt.ids import CircleId
from crdt.replica import Replica
from daemon.circles.thinking import Considered
from daemon.meaning.meaning import Meaning
from daemon.owner import Owner

logger = logging.getLogger(__name__)

RESONANCE: Final = "thought.resonance"
"""Type of the events that tell what a thought resonates with."""
PATIENCE_SECONDS: Final = 120.0
MOST_JOBS: Final = 1_000
_JOB_BYTES: Final = 9

Consider: TypeAlias = Callable[[], Awaitable[Considered]]
"""Finds out what a circle has to a thought."""


@dataclass(slots=True)
class Job:
    """What is known of one thought."""

    key: str
    circle: CircleId | None = None
    """The circle that it was said to."""
    resonance: float | None = None
    """Best among the person's other nodes, and what others contributed to the circle if
    one was named, 0 to 1; None until it is known."""
    nearest: str | None = None
    """Key of the node of these that is nearest."""
    considered: Considered | None = None
    """What the circle has to it, once that is known."""
    cause: str | None = None
    """Why nothing more will be known, in words for a person."""
    is_done: bool = False


class Thoughts:
    """The newest thoughts and what became of them."""

    def __init__(
        self, meaning: Meaning, owner: Owner, randomness: Callable[[int], bytes]
    ) -> None:
        """Start without any."""
        self._meaning = meaning
        self._owner = owner
        self._randomness = randomness
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(
        self,
        key: str,
        text: str,
        circle: CircleId | None = None,
        consider: Consider | None = None,
    ) -> str:
        """Begin to find out what a thought resonates with; return the id of the job.

        `consider` finds out what the circle has to it.
        """
        name = self._randomness(_JOB_BYTES).hex()
        job = self._jobs[name] = Job(key, circle)
        if len(self._jobs) > MOST_JOBS:
            self._jobs.popitem(last=False)
        task = asyncio.create_task(self._find_out(job, text, consider))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return name

    def job(self, name: str) -> Job:
        """Return what is known by now, or raise `NotFoundError`."""
        if name not in self._jobs:
            message = f"There is no such job; the newest {MOST_JOBS} of a run are kept."
            raise NotFoundError(message)
        return self._jobs[name]

    def stop(self) -> None:
        """Let go of what is not known yet."""
        for task in self._tasks:
            task.cancel()

    async def _find_out(self, job: Job, text: str, consider: Consider | None) -> None:
        try:
            if consider is None:
                await self._resonate(job, text)
            else:
                # A graph of which nothing is embedded yet keeps no circle from it.
                with suppress(EmbeddingError):
                    await self._resonate(job, text)
                job.considered = await consider()
                job.resonance = max(job.resonance or 0.0, job.considered.resonance)
            await self._owner.run(self._tell(job))
        except EmbeddingError as error:
            job.cause = str(error)
        except FractalityError as error:
            job.cause = "What the thought resonates with could not be found out."
            logger.warning("a thought was left alone: %s", type(error).__name__)
        finally:
            job.is_done = True

    async def _resonate(self, job: Job, text: str) -> None:
        question = await self._meaning.question(text, PATIENCE_SECONDS)
        found = await self._meaning.nearest(question, 2)
        others = [(node.key, near) for node, near in found if node.key != job.key]
        if others:
            job.nearest, job.resonance = others[0]
        else:
            job.resonance = 0.0

    def _tell(self, job: Job) -> Callable[[Replica], None]:
        """Return what makes the event of a job durable and tells it."""

        def write(_: Connection) -> Sequence[Event]:
            return (Event(RESONANCE, job.key, resonance=job.resonance),)

        return lambda replica: self._owner.tell(replica.derive(write))
