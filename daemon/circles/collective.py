"""What resonates in one circle: worked out when somebody looks, and only then.

Rules of this file:

1. Nothing is read or worked out before somebody asks. What is asked for again before
   anything changed is answered from before; after a while without questions all but the
   last result is let go.
2. Many who ask at once share one computation. Who stops waiting stops nothing; closing
   stops everything.
3. All work is done in one thread, in order, so that the event loop serves others. An
   engine that was stopped or failed is thrown away, and the next one reads all anew.
4. A result is only told as that of the present set if nothing changed since.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from consensus.contribution import Author, Contribution
from consensus.invitations import Invitation
from consensus.nearness import NodesNear
from consensus.result import ConsensusNode, Result
from consensus.rule import Preset
from crdt.errors import FractalityError
from crdt.ids import CircleId
from daemon.circles.engine import Engine, Near, Step
from daemon.circles.sharing import Shared

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

IDLE_SECONDS: Final = 600.0
MOST_STEPS: Final = 1_000
"""Changes that are remembered for the engine; with more all is read anew instead."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a circle's consensus comes from."""

    contributions: Callable[[], Awaitable[Sequence[Contribution]]]
    """Returns what stands of present members, retractions too or not."""
    invitations: Callable[[], Mapping[Author, Invitation]]
    """Returns how everybody who is or was a member came in."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A result, and of what."""

    version: int
    invitations: Mapping[Author, Invitation]
    result: Result
    near: NodesNear


class Collective:
    """The consensus of one circle on this device, from entering to leaving."""

    def __init__(
        self,
        circle: CircleId,
        preset: Preset,
        sources: Sources,
        threads: Executor,
        *,
        note: Callable[[Result], Awaitable[None]],
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """Read nothing yet. `threads` has one thread; `note` is given each result.

        What `note` waits for, those who asked wait for, too; an error of it is logged.
        """
        self._circle = circle
        self._preset = preset
        self._sources = sources
        self._threads = threads
        self._note = note
        self._idle_seconds = idle_seconds
        self._engine: Engine | None = None
        self._steps: list[Step] = []
        self._is_to_read = False
        self._version = 0
        self._reading: _Reading | None = None
        self._working_out = Shared(self._work_out)
        self._catching_up = Shared(self._catch_up)
        self._idle: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Be ready to be asked."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what is being worked out; who waits for it is let go."""
        if self._idle is not None:
            self._idle.cancel()
        if self._engine is not None:
            self._engine.stop()
        await self._working_out.end()
        await self._catching_up.end()
        self._let_go()

    @property
    def is_loaded(self) -> bool:
        """Whether an engine takes memory now."""
        return self._engine is not None

    def put(self, contributions: Sequence[Contribution]) -> None:
        """Take note of contributions of members that stand from now on."""
        if contributions:
            self._change(lambda resonance: resonance.put(contributions))

    def forget(self, author: Author) -> None:
        """Take note that nothing of somebody stands any more."""
        self._change(lambda resonance: resonance.forget(author))

    def members_changed(self) -> None:
        """Take note that there may be other members, or other ways they came in."""
        reading = self._reading
        if reading is None or reading.invitations != self._sources.invitations():
            self._version += 1

    def read_anew(self) -> None:
        """Take note that records stand no longer that nothing replaced."""
        self._is_to_read = True
        self._version += 1

    def known_hash(self) -> bytes | None:
        """Return the result's hash if it is known for what stands now."""
        reading = self._reading
        if reading is None or reading.version != self._version:
            return None
        return reading.result.hash

    async def result(self) -> Result:
        """Return the consensus of what stands now, or a little later.

        Raises what kept the records from being read.
        """
        return (await self._present()).result

    async def nodes_near(
        self, vector: bytes, model: bytes, limit: int
    ) -> list[tuple[ConsensusNode, int]]:
        """Return the nodes nearest to a vector by `model`, in basis points."""
        return (await self._present()).near.nearest(vector, model, limit)

    async def nearest(
        self, vector: bytes, model: bytes, limit: int, but_not_by: Author | None = None
    ) -> list[Near]:
        """Return the contributions nearest to a vector by `model`, in basis points."""
        self._used()
        while self._engine is None or self._is_behind():
            await self._catching_up()
        return await self._run(self._engine.nearest, vector, model, limit, but_not_by)

    def _change(self, step: Step) -> None:
        self._version += 1
        if self._engine is None or self._is_to_read:
            return
        self._steps.append(step)
        if len(self._steps) > MOST_STEPS:
            self._is_to_read = True
            self._steps.clear()

    async def _present(self) -> _Reading:
        self._used()
        wanted = self._version
        while (reading := self._reading) is None or reading.version < wanted:
            await self._working_out()
        return reading

    async def _work_out(self) -> None:
        version = self._version
        invitations = dict(self._sources.invitations())
        while self._engine is None or self._is_behind():
            await self._catching_up()
        engine = self._engine
        with self._thrown_away_if_it_fails():
            result = await self._run(engine.result, invitations)
        near = await self._run(NodesNear, result.nodes)
        self._reading = _Reading(version, invitations, result, near)
        try:
            await self._note(result)
        except FractalityError as error:
            logger.warning("a result was not noted: %s", type(error).__name__)

    async def _catch_up(self) -> None:
        if self._engine is None:
            self._engine = Engine(self._circle, self._preset)
            self._is_to_read = True
        engine = self._engine
        with self._thrown_away_if_it_fails():
            if self._is_to_read:
                # What is told from here on may or may not be among what is read, and
                # is followed after it: changes can be followed twice.
                self._is_to_read = False
                self._steps.clear()
                records = await self._sources.contributions()
                await self._run(engine.hold, records)
            while self._steps:
                steps, self._steps = self._steps, []
                await self._run(engine.follow, steps)

    def _is_behind(self) -> bool:
        return self._is_to_read or bool(self._steps)

    @contextmanager
    def _thrown_away_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._let_go()
            raise

    async def _run(self, work: Callable[..., Answer], *values: object) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *values)

    def _used(self) -> None:
        """Put off letting the engine go."""
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._idle_seconds, self._rest)

    def _rest(self) -> None:
        if self._working_out.is_running or self._catching_up.is_running:
            self._used()
        else:
            self._let_go()

    def _let_go(self) -> None:
        """Throw the engine away, in the thread: it may be hundreds of megabytes."""
        engine, self._engine = self._engine, None
        self._steps.clear()
        if engine is not None:
            with suppress(RuntimeError):  # the thread ended, and takes nothing any more
                self._threads.submit(engine.let_go)
