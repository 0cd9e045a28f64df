"""What texts mean, as the rest of the daemon asks for it.

Rules of this file:
1. Nothing here is needed for anything else to work, and all of it may be off.
2. Vectors are read in a thread and with a connection of their own, and written by the
   owner's thread.
3. A question is embedded by the model that made the answers; while another model is
   taking over, that is the former one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from consensus.embedder import Embedder
from consensus.errors import NoModelError
from consensus.model_folder import folder_tag
from consensus.worker_life import State
from crdt.committed import Committed
from crdt.embeddings import Model
from crdt.meaning_reader import MeaningReader
from crdt.records import Node
from daemon.circles.preview import Embedded
from daemon.meaning.catching_up import PROGRESS, CatchingUp
from daemon.owner import Owner

Result = TypeVar("Result")

NOT_YET: Final = "Nothing has been embedded yet; it goes on in the background."
TURNED_OFF: Final = "Embeddings are turned off by the setting 'embeddings'."
NO_MODEL: Final = (
    "There is no model for embeddings; 'make meaning' installs one, or name the folder"
    " of one in the setting 'model'."
)
_REMEMBERED: Final = 500
"""Questions whose vectors are kept, so that asking again costs nothing."""
_FORMER_GONE: Final = (
    "Another model is taking over, and the former one is gone: what it made cannot be"
    " searched any more. Search by meaning is back when all texts are embedded anew."
)
_TOO_LONG: Final = "The model is still being loaded; try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Standing:
    """How embeddings are."""

    state: str
    """`off`, `idle`, `loading`, `embedding`, `ready` or `waiting`."""
    model: str | None
    """Tag of the model that answers."""
    queued: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks, as a vector of a model."""

    vector: bytes
    model: int


class Meaning:
    """Keeps vectors, and answers by them, from entering to leaving."""

    def __init__(
        self,
        owner: Owner,
        reader: MeaningReader,
        threads: ThreadPoolExecutor,
        make_embedder: Callable[[Path], Embedder],
        folder: Path | None,
        *,
        cause_if_none: str = NO_MODEL,
    ) -> None:
        """Take the folder of the model; without one all of it is off."""
        self._reader = reader
        self._threads = threads
        self._make_embedder = make_embedder
        self._off_cause = cause_if_none if folder is None else None
        self._folder = folder
        self._former: tuple[bytes, Embedder] | None = None
        self._asked: OrderedDict[tuple[bytes, str], bytes] = OrderedDict()
        self._parts = AsyncExitStack()
        self._catching_up: CatchingUp | None = None
        if folder is not None:
            embedder = make_embedder(folder)
            self._catching_up = CatchingUp(owner, reader, self.read, embedder, folder)

    async def __aenter__(self) -> Self:
        """Begin to catch up with texts that wait."""
        if self._catching_up is not None:
            await self._parts.enter_async_context(self._catching_up)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every process that embeds."""
        await self._parts.aclose()

    @property
    def embedder(self) -> Embedder:
        """Who embeds new texts; there is one unless all of it is off."""
        if self._catching_up is None:
            raise NoModelError(self._off_cause)
        return self._catching_up.embedder

    async def present_tag(self) -> bytes | None:
        """Return the tag of the model that makes new vectors, None without one."""
        return None if self._catching_up is None else await self._catching_up.tag()

    async def in_background(self, texts: Sequence[str]) -> list[bytes]:
        """Return texts as vectors of the model that makes new ones, when it has time.

        Raises an `EmbeddingError`.
        """
        return await self.embedder.embed(texts)

    def committed(self, committed: Committed) -> None:
        """Take note of a commit, which may have queued texts."""
        is_ours = all(each.type == PROGRESS for each in committed.events)
        if self._catching_up is not None and (committed.bodies or not is_ours):
            self._catching_up.texts_changed()

    async def read(self, question: Callable[[MeaningReader], Result]) -> Result:
        """Ask the reader, in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, self._reader)

    async def standing(self) -> Standing:
        """Return how embeddings are."""
        queued = await self.read(MeaningReader.queue_length)
        model = await self.read(MeaningReader.answering_model)
        tag = None if model is None else model.tag.hex()
        if self._catching_up is None:
            return Standing("off", tag, queued, self._off_cause)
        life = self._catching_up.embedder.life
        state: str = self._catching_up.embedder.state
        if state == State.READY and queued:
            state = "embedding"
        return Standing(state, tag, queued, life.cause)

    async def question(self, text: str, patience_seconds: float) -> Question:
        """Return what `text` asks, or raise `EmbeddingError` why that is not known."""
        if self._catching_up is None:
            raise NoModelError(self._off_cause)
        model = await self.read(MeaningReader.answering_model)
        if model is None:
            raise NoModelError(self._catching_up.embedder.life.cause or NOT_YET)
        place = (model.tag, text)
        if place in self._asked:
            self._asked.move_to_end(place)
            return Question(self._asked[place], model.number)
        try:
            async with asyncio.timeout(patience_seconds):
                embedder = await self._embedder(model)
                (vector,) = await embedder.embed([text], is_urgent=True)
        except TimeoutError:
            raise NoModelError(_TOO_LONG) from None
        if embedder.life.tag != model.tag:
            raise NoModelError(_FORMER_GONE)
        self._asked[place] = vector
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return Question(vector, model.number)

    async def embedded(self, text: str, patience_seconds: float) -> Embedded:
        """Return a text as a vector of the model that makes new ones.

        Raises `EmbeddingError` why that is not known.
        """
        embedder = self.embedder
        try:
            async with asyncio.timeout(patience_seconds):
                (vector,) = await embedder.embed([text], is_urgent=True)
        except TimeoutError:
            raise NoModelError(_TOO_LONG) from None
        if embedder.life.tag is None:
            raise NoModelError(embedder.life.cause or NOT_YET)
        return Embedded(vector, embedder.life.tag)

    async def nearest(
        self,
        question: Question,
        limit: int,
        node_type: str | None = None,
        network: str | None = None,
    ) -> list[tuple[Node, float]]:
        """Return (node, resonance) of the nodes nearest in meaning, best first."""
        return await self.read(
            lambda reader: reader.nearest(
                question.vector,
                model=question.model,
                limit=limit,
                node_type=node_type,
                network=network,
            )
        )

    async def resonances(
        self, question: Question, keys: Sequence[str]
    ) -> dict[str, float]:
        """Return how near each of some nodes is, of those whose vectors are known."""
        return await self.read(
            lambda reader: reader.resonances(question.vector, question.model, keys)
        )

    async def resonant(
        self, key: str, limit: int, threshold: float, network: str | None = None
    ) -> list[tuple[Node, float]]:
        """Return the nodes nearest in meaning to a node, best first.

        Raises `NotFoundError`, or `NoModelError` while its vector is not known.
        """
        found = await self.read(
            lambda reader: reader.resonant(
                key, limit=limit, threshold=threshold, network=network
            )
        )
        if found is None:
            raise NoModelError((await self.standing()).cause or NOT_YET)
        return found

    async def regions(self) -> list[tuple[list[Node], list[str]]]:
        """Return (central nodes, keys of all nodes) of each region of meaning.

        Raises `NoModelError` while nothing has been embedded.
        """
        found = await self.read(MeaningReader.regions)
        if found is None:
            raise NoModelError((await self.standing()).cause or NOT_YET)
        return found

    async def _embedder(self, model: Model) -> Embedder:
        """Return who embeds by the model that answers now."""
        if self._catching_up is None:
            raise NoModelError(self._off_cause)
        if await self._catching_up.tag() == model.tag:
            return self._catching_up.embedder
        if self._former is None or self._former[0] != model.tag:
            folder = Path(model.folder)
            if await asyncio.to_thread(folder_tag, folder) != model.tag:
                raise NoModelError(_FORMER_GONE)
            embedder = await self._parts.enter_async_context(
                self._make_embedder(folder)
            )
            self._former = (model.tag, embedder)
        return self._former[1]
