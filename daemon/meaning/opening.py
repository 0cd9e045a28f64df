"""Search by meaning for one open store, put together as the settings say."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from consensus.embedder import Embedder
from consensus.model_folder import find_model
from crdt.database import Database
from crdt.meaning_reader import MeaningReader
from daemon.config import Config
from daemon.meaning.meaning import TURNED_OFF, Meaning
from daemon.meaning.thoughts import Thoughts
from daemon.mesh.space_view import Clocks
from daemon.owner import Owner


async def open_meaning(
    parts: AsyncExitStack,
    database: Database,
    owner: Owner,
    config: Config,
    clocks: Clocks,
) -> tuple[Meaning, Thoughts]:
    """Return what keeps vectors, and what follows thoughts; `parts` ends both."""
    reader = parts.enter_context(MeaningReader(database, owner.replica.index))
    threads = ThreadPoolExecutor(1, "meaning")
    parts.callback(threads.shutdown, cancel_futures=True)

    def embedder(folder: Path) -> Embedder:
        return Embedder(
            folder,
            clocks.awake_ms,
            threads=config.embedding_threads,
            idle_ms=config.embedding_idle_seconds * 1000,
        )

    if config.embeddings:
        meaning = Meaning(owner, reader, threads, embedder, _folder(config))
    else:
        meaning = Meaning(
            owner, reader, threads, embedder, None, cause_if_none=TURNED_OFF
        )
    await parts.enter_async_context(meaning)
    thoughts = Thoughts(meaning, owner, clocks.randomness)
    parts.callback(thoughts.stop)
    return meaning, thoughts


def _folder(config: Config) -> Path | None:
    named = None if config.model is None else Path(config.model).expanduser()
    return find_model(named, os.environ)
