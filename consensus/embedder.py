"""Texts to vectors by a process of its own, started when somebody has texts.

Rules of this file:
1. One batch is with the process at a time; urgent ones go before the others.
2. Whoever stops waiting takes the batch out of the queue; one that is with the process
   already is finished and thrown away.
3. Whatever the process does (dies, hangs, answers nonsense), the batch in its hands
   fails, the process is killed, and the next batch may start another.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from consensus.errors import NoModelError, WorkerLostError
from consensus.model_tag import DIMENSION
from consensus.worker_life import BATCH_MS, LOAD_MS, State, WorkerLife
from consensus.worker_messages import (
    LENGTH,
    MAX_TEXT_CHARACTERS,
    MAX_TEXTS,
    Answer,
    Embed,
    Embedded,
    Failed,
    Open,
    Opened,
    Unusable,
    content_length,
    decode_answer,
    frame,
)
from crdt.errors import MalformedError

logger = logging.getLogger(__name__)

WORKER: Final = (sys.executable, "-P", "-m", "consensus.worker")
IDLE_MS: Final = 120_000
_LOSSES: Final = (OSError, EOFError, MalformedError, TimeoutError)
"""What is raised when the process is gone, hangs, or does not keep to the rules."""


class _Batch:
    """Texts on their way, and who waits for their vectors."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = [text[:MAX_TEXT_CHARACTERS] for text in texts]
        self.done: asyncio.Future[list[bytes]] = (
            asyncio.get_running_loop().create_future()
        )


class Embedder:
    """Embeds by the model in one folder, from entering to leaving."""

    def __init__(
        self,
        folder: Path,
        monotonic_ms: Callable[[], int],
        *,
        threads: int = 1,
        idle_ms: int = IDLE_MS,
        command: Sequence[str] = WORKER,
    ) -> None:
        """Start no process yet."""
        self._opening = Open(str(folder), threads)
        self._monotonic_ms = monotonic_ms
        self._command = command
        self._urgent: deque[_Batch] = deque()
        self._waiting: deque[_Batch] = deque()
        self._grown = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0
        self.life = WorkerLife(idle_ms)

    async def __aenter__(self) -> Self:
        """Begin to serve batches."""
        self._serving = asyncio.create_task(self._serve())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill the process and let go of who waits."""
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving
        await self._kill()
        for batch in (*self._urgent, *self._waiting):
            batch.done.cancel()

    @property
    def pid(self) -> int | None:
        """Id of the process, None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def state(self) -> State:
        """Where the process is; one that was killed with nothing to do is gone."""
        is_gone = self._process is None or self._process.returncode is not None
        if self.life.state is State.READY and is_gone:
            return State.IDLE
        return self.life.state

    def pause_ms(self) -> int:
        """Return for how long no process may be started."""
        return max(0, self.life.may_start_ms - self._monotonic_ms())

    async def embed(
        self, texts: Sequence[str], *, is_urgent: bool = False
    ) -> list[bytes]:
        """Return the vector of each text (at most `MAX_TEXTS`), int8 bytes.

        Long texts are cut. Raises an `EmbeddingError` that says why there are none;
        `WorkerLostError` if these very texts may be what ended the process.
        """
        if not 0 < len(texts) <= MAX_TEXTS:
            message = f"a batch has 1 to {MAX_TEXTS} texts"
            raise ValueError(message)
        batch = _Batch(texts)
        queue = self._urgent if is_urgent else self._waiting
        queue.append(batch)
        self._grown.set()
        try:
            return await batch.done
        finally:
            with suppress(ValueError):
                queue.remove(batch)

    async def _serve(self) -> None:
        while True:
            batch = await self._next()
            if batch is None:
                await self._kill()
                self.life.stopped()
            elif not batch.done.done():
                await self._settle(batch)

    async def _settle(self, batch: _Batch) -> None:
        """Embed a batch and tell who waits, if anybody still does."""
        try:
            vectors = await self._embedded(batch)
        except (NoModelError, WorkerLostError) as error:
            if not batch.done.done():
                batch.done.set_exception(error)
        except asyncio.CancelledError:
            batch.done.cancel()
            raise
        else:
            if not batch.done.done():
                batch.done.set_result(vectors)

    async def _next(self) -> _Batch | None:
        """Return the next batch, or None when the process has been idle for long."""
        while not self._urgent and not self._waiting:
            self._grown.clear()
            left_ms = None
            if self._process is not None:
                left_ms = self.life.idle_left_ms(self._monotonic_ms()) / 1000
            try:
                async with asyncio.timeout(left_ms):
                    await self._grown.wait()
            except TimeoutError:
                return None
        return (self._urgent or self._waiting).popleft()

    async def _embedded(self, batch: _Batch) -> list[bytes]:
        if self._process is not None and self._process.returncode is not None:
            await self._lose()
        process = self._process or await self._start()
        self._number += 1
        question = Embed(self._number, batch.texts)
        try:
            answer = await self._ask(process, question, BATCH_MS)
            vectors = _vectors(question, answer)
        except _LOSSES as error:
            await self._lose()
            message = "The process that embeds ended with these texts in hand."
            raise WorkerLostError(message) from error
        self.life.served(self._monotonic_ms())
        return vectors

    async def _start(self) -> asyncio.subprocess.Process:
        if not self.life.start(self._monotonic_ms()):
            raise NoModelError(self.life.cause)
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            answer = await self._ask(process, self._opening, LOAD_MS)
        except _LOSSES as error:
            await self._lose()
            raise NoModelError(self.life.cause) from error
        if isinstance(answer, Opened):
            self.life.opened(answer.tag, self._monotonic_ms())
            return process
        await self._lose(answer if isinstance(answer, Unusable) else None)
        raise NoModelError(self.life.cause)

    async def _ask(
        self,
        process: asyncio.subprocess.Process,
        question: Open | Embed,
        patience_ms: int,
    ) -> Answer:
        """Return the answer of the process, or raise what kept it from answering."""
        if process.stdin is None or process.stdout is None:
            raise EOFError
        async with asyncio.timeout(patience_ms / 1000):
            process.stdin.write(frame(question))
            await process.stdin.drain()
            prefix = await process.stdout.readexactly(LENGTH.size)
            return decode_answer(
                await process.stdout.readexactly(content_length(prefix))
            )

    async def _lose(self, unusable: Unusable | None = None) -> None:
        process = self._process
        await self._kill()
        if unusable is None and process is not None:
            logger.warning("the embedding process ended: %s", process.returncode)
        self.life.ended(self._monotonic_ms(), unusable)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _vectors(question: Embed, answer: Answer) -> list[bytes]:
    """Return the vectors that answer a question, or raise why there are none."""
    match answer:
        case Failed(number=question.number):
            message = "The model could not embed these texts."
            raise WorkerLostError(message)
        case Embedded(number=question.number, vectors=content) if len(
            content
        ) == DIMENSION * len(question.texts):
            return [
                content[at : at + DIMENSION] for at in range(0, len(content), DIMENSION)
            ]
        case _:
            message = "an answer of the embedding process does not fit the question"
            raise MalformedError(message)
