"""The thread that owns the replica, and how the event loop hands it work.

Writes that wait while a group is being made durable go together into the next one:
under load many share one flush to disk, and alone each has its own at once.

Rules of this file:
1. The replica is touched by this thread only, from opening to closing.
2. The queue is bounded: whoever finds it full waits.
3. What is awaited is durable; events are told after that, in the order of commits.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

from crdt.commands import Executable
from crdt.committed import Committed
from crdt.errors import RefusedError, StoreError
from crdt.execution import Outcome
from crdt.replica import Replica
from daemon.faults import places
from daemon.upkeep import Upkeep

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

MAX_WAITING: Final = 1024
MAX_GROUP: Final = 2_000
_LATELY_MS: Final = 5_000
_RETIRED: Final = (
    "This device is just becoming one of another person's; ask again in a moment."
)


@dataclass(slots=True)
class _Writes:
    commands: Sequence[Executable]
    done: "Future[Sequence[Outcome | RefusedError]]"


@dataclass(slots=True)
class _Task:
    run: Callable[[Replica], Any]
    done: "Future[Any]"


_Work: TypeAlias = _Writes | _Task | None
"""None asks the thread to end."""


class Owner:
    """Runs a replica in a thread of its own."""

    def __init__(
        self,
        open_replica: Callable[[], Replica],
        wall_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
        tell: Callable[[Committed], None],
    ) -> None:
        """Start nothing yet; `tell` is called on the loop after each commit."""
        self._open = open_replica
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._tell = tell
        self._queue: queue.Queue[_Work] = queue.Queue()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="owner")
        self._opened: Future[Replica] = Future()
        self._aside: list[_Work] = []
        self._last_write_ms = monotonic_ms() - _LATELY_MS
        self._failure: BaseException | None = None
        self._refusal: StoreError | None = None
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Open the replica in its thread, or raise what kept it from opening."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        try:
            self.replica = await asyncio.wrap_future(self._opened)
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the thread finish what it was given, then close the replica."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._failure is not None and error is None:
            raise self._failure

    async def write(self, command: Executable) -> Outcome:
        """Carry out one command durably, or raise why it was refused."""
        (outcome,) = await self.write_all((command,))
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    async def write_all(
        self, commands: Sequence[Executable]
    ) -> Sequence[Outcome | RefusedError]:
        """Carry out commands in order, all in one durable group."""
        self._last_write_ms = self._monotonic_ms()
        done: Future[Sequence[Outcome | RefusedError]] = Future()
        return await self._hand_over(_Writes(commands, done), done)

    def is_shared(self) -> bool:
        """Whether somebody wrote single commands lately, who would mind to wait."""
        return self._monotonic_ms() - self._last_write_ms < _LATELY_MS

    async def run(self, task: Callable[[Replica], Result]) -> Result:
        """Run `task` in the owner's thread and return what it returns."""
        done: Future[Result] = Future()
        return await self._hand_over(_Task(task, done), done)

    async def retire(self, check: Callable[[Replica], None]) -> None:
        """Refuse all work from now on, unless `check` raises."""

        def last(replica: Replica) -> None:
            check(replica)
            self._refusal = StoreError(_RETIRED)

        await self.run(last)

    def resume(self) -> None:
        """Take up work again after `retire`."""
        self._refusal = None

    async def wait_ended(self) -> None:
        """Return when the thread has ended, which it does by itself only on a fault."""
        await self._ended.wait()

    def tell(self, committed: Committed) -> None:
        """From the owner's thread: let the loop know of a commit that a task made."""
        self._loop.call_soon_threadsafe(self._tell, committed)

    async def _hand_over(self, work: _Work, done: "Future[Result]") -> Result:
        if not self._thread.is_alive():
            message = "The store is closed; the daemon is stopping."
            raise StoreError(message)
        async with self._room:
            self._queue.put(work)
            # The work goes on whatever becomes of whoever asked for it.
            return await asyncio.shield(asyncio.wrap_future(done))

    def _run(self) -> None:
        try:
            replica = self._open()
        except BaseException as error:  # noqa: BLE001  # raised again on the loop
            self._opened.set_exception(error)
            return
        self._opened.set_result(replica)
        try:
            self._serve(replica)
            replica.close()
        except BaseException as error:  # noqa: BLE001  # raised again on leaving
            self._failure = error
        self._loop.call_soon_threadsafe(self._ended.set)

    def _serve(self, replica: Replica) -> None:
        upkeep = Upkeep(replica, self._wall_ms, self._monotonic_ms)
        while True:
            try:
                work = self._take(upkeep.patience())
            except queue.Empty:
                work = _Task(lambda _: self._keep_up(upkeep), Future())
                is_bulk = None
            else:
                is_bulk = isinstance(work, _Task)
            if work is None:
                return
            if self._refusal is not None and is_bulk is not None:
                work.done.set_exception(self._refusal)
                continue
            try:
                self._perform(replica, work)
                if is_bulk is not None:
                    upkeep.note_work(is_bulk=is_bulk)
            except Exception as error:  # noqa: BLE001  # told to whoever asked
                # A group that fails is taken back whole, so the next one may be tried.
                if upkeep.note_fault():
                    is_known = isinstance(error, StoreError)
                    what = type(error).__name__ if is_known else places(error)
                    logger.error("the store could not write: %s", what)  # noqa: TRY400  # no content

    def _keep_up(self, upkeep: Upkeep) -> None:
        committed = upkeep.step()
        if committed is not None:
            self.tell(committed)

    def _perform(self, replica: Replica, work: _Writes | _Task) -> None:
        if isinstance(work, _Writes):
            self._commit(replica, self._gather(work))
            return
        try:
            result = work.run(replica)
        except Exception as error:
            work.done.set_exception(error)
            raise
        work.done.set_result(result)

    def _take(self, patience: float | None) -> _Work:
        if self._aside:
            return self._aside.pop()
        return self._queue.get(timeout=patience)

    def _gather(self, first: _Writes) -> list[_Writes]:
        """Return all writes that wait, up to a bound, in order."""
        group = [first]
        count = len(first.commands)
        while count < MAX_GROUP:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if not isinstance(work, _Writes):
                self._aside.append(work)
                break
            group.append(work)
            count += len(work.commands)
        return group

    def _commit(self, replica: Replica, group: list[_Writes]) -> None:
        commands = [command for writes in group for command in writes.commands]
        try:
            committed = replica.apply(commands, self._wall_ms())
        except Exception as error:
            for writes in group:
                writes.done.set_exception(error)
            raise
        outcomes = iter(committed.outcomes)
        for writes in group:
            writes.done.set_result([next(outcomes) for _ in writes.commands])
        self.tell(committed)
