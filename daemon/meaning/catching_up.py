"""Texts that wait are embedded, batch by batch, until none waits.

Rules of this file:
1. A batch is durable before the next one begins; whatever ends the program, the rest
   still waits.
2. After a batch that ended the process its texts go one by one, so that a text that no
   process survives is found, given up after some tries, and holds up no other.
3. Nothing here fails for good: a pause, then another try.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from consensus.embedder import Embedder
from consensus.errors import NoModelError, WorkerLostError
from consensus.model_folder import folder_tag
from consensus.worker_messages import MAX_TEXTS
from crdt import embeddings
from crdt.database import Connection
from crdt.embeddings import Made, Model, Waiting
from crdt.errors import StoreError
from crdt.events import Event
from crdt.meaning_reader import MeaningReader
from crdt.replica import Replica
from daemon.owner import Owner

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

PROGRESS: Final = "embedding.progress"
"""Type of the events that tell how much waits."""
TRIES: Final = 3
"""How often a text may end the process before it is left without a vector."""
_PROGRESS_SECONDS: Final = 1.0
_AFTER_FAULT_SECONDS: Final = 5.0
_LEAST_PAUSE_SECONDS: Final = 0.1


class Read(Protocol):
    """Asks the reader, in its thread."""

    def __call__(
        self, question: Callable[[MeaningReader], Result], /
    ) -> Coroutine[Any, Any, Result]:
        """Return the answer."""


class CatchingUp:
    """Embeds what waits, from entering to leaving."""

    def __init__(
        self,
        owner: Owner,
        reader: MeaningReader,
        read: Read,
        embedder: Embedder,
        folder: Path,
    ) -> None:
        """Start nothing yet; `folder` is where `embedder` has its model."""
        self.embedder = embedder
        self._owner = owner
        self._reader = reader
        self._read = read
        self._folder = folder
        self._changed = asyncio.Event()
        self._tag: bytes | None = None
        self._model: Model | None = None
        self._one_by_one = 0
        self._losses: Counter[bytes] = Counter()
        self._told = 0.0

    async def __aenter__(self) -> Self:
        """Begin."""
        await self.embedder.__aenter__()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what waits goes on waiting."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.embedder.__aexit__(kind, error, trace)

    def texts_changed(self) -> None:
        """Take note that there may be texts that wait."""
        self._changed.set()

    async def tag(self) -> bytes | None:
        """Return the tag of the model in the folder, None if it is not whole."""
        if self._tag is None:
            self._tag = await asyncio.to_thread(folder_tag, self._folder)
        return self.embedder.life.tag or self._tag

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            pause = 0.0
            try:
                is_more = await self._embed_some()
            except WorkerLostError:
                is_more = True
            except NoModelError:
                is_more, pause = True, self._pause_seconds()
            except StoreError:
                is_more, pause = True, _AFTER_FAULT_SECONDS
            if pause:
                await asyncio.sleep(pause)
            elif not is_more:
                await self._changed.wait()

    def _pause_seconds(self) -> float:
        return max(self.embedder.pause_ms() / 1000, _LEAST_PAUSE_SECONDS)

    async def _embed_some(self) -> bool:
        """Embed one batch; return whether more waits."""
        model = await self._present_model()
        if model is None:
            if await self._read(MeaningReader.queue_length):
                await self.embedder.embed(["probe"])  # to know what is wrong
            return False
        size = 1 if self._one_by_one else MAX_TEXTS
        queued = await self._read(lambda reader: reader.waiting(model.number, size))
        if not queued:
            await self._settle(model)
            return False
        made = await self._made(queued)
        if self.embedder.life.tag not in (None, model.tag):
            self._model = None
            return True
        await self._keep(model, made)
        return True

    async def _present_model(self) -> Model | None:
        """Return the model that makes vectors now; a new one has all texts queued."""
        tag = await self.tag()
        if self._model is not None and self._model.tag == tag:
            return self._model
        if tag is None:
            return None
        found: list[Model] = []

        def write(connection: Connection) -> Sequence[Event]:
            found.append(embeddings.add_model(connection, tag, str(self._folder)))
            return ()

        await self._owner.run(lambda replica: replica.derive(write))
        self._model = found[0]
        return self._model

    async def _made(self, queued: Sequence[Waiting]) -> list[Made]:
        wanted = [each for each in queued if each.text and not each.is_known]
        texts = [each.text for each in wanted if each.text and each.text.strip()]
        vectors: dict[str, bytes] = {}
        if texts:
            try:
                found = await self.embedder.embed(texts)
            except WorkerLostError:
                if not self._give_up(queued):
                    raise
            else:
                vectors = dict(zip(texts, found, strict=True))
                self._one_by_one = max(0, self._one_by_one - 1)
                self._losses.clear()
        return [
            Made(
                each.node,
                each.text_hash,
                None
                if each.is_known
                else vectors.get(each.text or "", embeddings.NO_VECTOR),
            )
            for each in queued
        ]

    def _give_up(self, queued: Sequence[Waiting]) -> bool:
        """Take note that these texts ended the process; whether to leave them be."""
        self._one_by_one = MAX_TEXTS
        if len(queued) > 1:
            return False
        text_hash = queued[0].text_hash
        self._losses[text_hash] += 1
        if self._losses[text_hash] < TRIES:
            return False
        logger.warning("a text ended the embedding process and is left out")
        return True

    async def _keep(self, model: Model, made: Sequence[Made]) -> None:
        queued = None
        if len(made) < MAX_TEXTS or time.monotonic() > self._told + _PROGRESS_SECONDS:
            queued = await self._read(MeaningReader.queue_length)
            self._told = time.monotonic()

        def run(replica: Replica) -> None:
            kept: list[tuple[list[int], list[Made]]] = []

            def write(connection: Connection) -> Sequence[Event]:
                kept.append(embeddings.keep(connection, model.number, made))
                if queued is None:
                    return ()
                left = max(0, queued - len(made))
                return (Event(PROGRESS, "", queued=left),)

            self._owner.tell(replica.derive(write))
            self._reader.note(model.number, *kept[0])

        await self._owner.run(run)

    async def _settle(self, model: Model) -> None:
        """Let the model answer if it does not yet, and forget all others."""
        is_settled = await self._read(lambda reader: reader.is_settled(model.number))
        while not is_settled:
            is_settled = not await self._owner.run(self._drop_others(model.number))

    def _drop_others(self, model: int) -> Callable[[Replica], bool]:
        """Return what drops some of what others made, and tells if more is left."""

        def run(replica: Replica) -> bool:
            is_more: list[bool] = []

            def write(connection: Connection) -> Sequence[Event]:
                is_more.append(embeddings.settle(connection, model))
                return ()

            replica.derive(write)
            self._reader.forget_model()
            return is_more[0]

        return run
