"""Search by meaning in a store of any size: vectors made up around real ones.

Real are the sentences of this project's documents, embedded by the real model. Each
made-up vector lies somewhere between two of them, off the way by some noise.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.report import Figure, spread
from consensus.embedder import Embedder
from consensus.model_folder import find_model
from consensus.worker_messages import MAX_TEXTS
from crdt import embeddings
from crdt.closeness import from_bytes, quantise
from crdt.database import Database
from crdt.index_store import load_index
from crdt.meaning_reader import MeaningReader
from daemon.setup import open_key

_DOCUMENTS: Final = Path(__file__).parents[1]
_SENTENCE: Final = re.compile(r"[A-Z][^.!?|`]{30,200}[.!?]")
_SENTENCES: Final = 1_024
_NOISE: Final = 0.02
"""To each of 384 numbers."""
_LEAST_SHARE: Final = 0.3
"""Of the first of two sentences in a mixture; at most it is all."""
_AT_ONCE: Final = 50_000
_QUESTIONS: Final = 60
_NEAR: Final = 20
_MEGABYTE: Final = 1_000_000


def measure_vectors(home: Path, nodes: int, seed: int) -> Iterator[Figure]:
    """Yield the figures of a store whose nodes get a vector each."""
    folder = find_model(None, os.environ)
    if folder is None:
        return
    dice = np.random.default_rng(seed)
    real = asyncio.run(_embedded(folder))
    with Database(home, open_key(home, None).key) as database:
        index = load_index(database.writer)
        size = home.joinpath("store.db").stat().st_size
        vectors = _fill(database, real, len(index.keys), dice)
        grown = home.joinpath("store.db").stat().st_size - size
        yield Figure("vectors on disk", nodes, "MB", grown / _MEGABYTE)
        with MeaningReader(database, index) as reader:
            yield from _questions(reader, nodes, vectors, dice)


async def _embedded(folder: Path) -> npt.NDArray[np.float32]:
    """Return the vectors of real sentences, of length 1."""
    pages = sorted(_DOCUMENTS.glob("**/*.md"))
    found = [
        " ".join(sentence.split())
        for page in pages
        if "node_modules" not in page.parts and ".venv" not in page.parts
        for sentence in _SENTENCE.findall(page.read_text())
    ]
    texts = list(dict.fromkeys(found))[:_SENTENCES]
    made: list[bytes] = []
    async with Embedder(folder, lambda: time.monotonic_ns() // 1_000_000) as embedder:
        for start in range(0, len(texts), MAX_TEXTS):
            made += await embedder.embed(texts[start : start + MAX_TEXTS])
    floats = from_bytes(b"".join(made)).astype(np.float32)
    unit: npt.NDArray[np.float32] = floats / np.linalg.norm(
        floats, axis=1, keepdims=True
    )
    return unit


def _fill(
    database: Database,
    real: npt.NDArray[np.float32],
    count: int,
    dice: np.random.Generator,
) -> npt.NDArray[np.int8]:
    """Give each node row a vector; return all of them, in order."""
    connection = database.writer
    model = embeddings.add_model(connection, b"bench---", "").number
    everything = np.empty((count, real.shape[1]), np.int8)
    for start in range(0, count, _AT_ONCE):
        some = min(_AT_ONCE, count - start)
        first, second = (real[dice.integers(0, len(real), some)] for _ in range(2))
        share = dice.uniform(_LEAST_SHARE, 1, (some, 1)).astype(np.float32)
        mixed = share * first + (1 - share) * second
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        noise = dice.standard_normal((some, real.shape[1]), np.float32)
        everything[start : start + some] = quantise(mixed + _NOISE * noise)
        with connection:
            connection.executemany(
                "INSERT INTO vector (id, text_hash, vector) VALUES (?, x'', ?)",
                (
                    (model << 40 | number + 1, everything[number].tobytes())
                    for number in range(start, start + some)
                ),
            )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return everything


def _questions(
    reader: MeaningReader,
    nodes: int,
    vectors: npt.NDArray[np.int8],
    dice: np.random.Generator,
) -> Iterator[Figure]:
    lengths = np.concatenate(
        [
            np.linalg.norm(vectors[start : start + _AT_ONCE].astype(np.float32), axis=1)
            for start in range(0, len(vectors), _AT_ONCE)
        ]
    )
    times: list[float] = []
    hits = 0
    asked = dice.integers(0, len(vectors), _QUESTIONS)
    for place, number in enumerate(asked.tolist()):
        one = vectors[number]
        started = time.perf_counter()
        found = reader.nearest(one.tobytes(), model=1, limit=_NEAR)
        seconds = time.perf_counter() - started
        if place == 0:
            yield Figure("first search by meaning", nodes, "s", seconds)
            continue
        times.append(seconds * 1000)
        near = np.concatenate(
            [
                vectors[start : start + _AT_ONCE].astype(np.float32)
                @ one.astype(np.float32)
                for start in range(0, len(vectors), _AT_ONCE)
            ]
        )
        near /= lengths
        best = set(np.argpartition(-near, _NEAR)[:_NEAR].tolist())
        hits += len(best & {reader.number(node.key) - 1 for node, _ in found})
    yield spread("search by meaning", nodes, "ms", times)
    recall = hits / (len(times) * _NEAR)
    yield Figure("recall@20 of search by meaning", nodes, "", recall)
