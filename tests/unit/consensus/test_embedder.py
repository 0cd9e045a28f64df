"""Texts to vectors by real processes, with a stand-in for the model."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from consensus.embedder import Embedder
from consensus.errors import NoModelError, WorkerLostError
from consensus.worker_life import State
from tests.support.daemons import wait_until
from tests.support.stand_in_model import (
    BROKEN_FOLDER,
    COMMAND,
    DIES,
    FAILS,
    HANGS,
    LIES,
    tag_of,
    vector,
)


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@asynccontextmanager
async def embedding(
    folder: str = "model", idle_ms: int = 60_000
) -> AsyncIterator[Embedder]:
    embedder = Embedder(Path(folder), monotonic_ms, idle_ms=idle_ms, command=COMMAND)
    async with embedder:
        yield embedder


async def test_texts_become_vectors() -> None:
    """Each text has its vector, whatever stands in it, and the tag is known."""
    texts = ["bread and butter", "", "x", "🙂🙂", "日本語 and ελληνικά", "w " * 2000]
    async with embedding() as embedder:
        assert embedder.pid is None

        vectors = await embedder.embed(texts)

        assert vectors == [vector(text) for text in texts]
        assert embedder.life.tag == tag_of("model")


async def test_urgent_texts_go_first() -> None:
    """A person's question overtakes a queue of texts."""
    done: list[str] = []
    async with embedding() as embedder:

        async def embed(text: str, *, is_urgent: bool = False) -> None:
            await embedder.embed([text], is_urgent=is_urgent)
            done.append(text)

        slow = [asyncio.create_task(embed(f"slow {n}")) for n in range(5)]
        quick = asyncio.create_task(embed("quick", is_urgent=True))
        await asyncio.gather(*slow, quick)

    assert done[0] == "quick"


@pytest.mark.parametrize("text", [DIES, LIES, FAILS])
async def test_texts_that_end_the_process_fail_alone(text: str) -> None:
    """Whatever a text does to the process, the next one gets its vector."""
    async with embedding() as embedder:
        with pytest.raises(WorkerLostError) as caught:
            await embedder.embed([text])

        assert text not in str(caught.value)
        assert await embedder.embed(["bread"]) == [vector("bread")]


async def test_a_killed_process_is_replaced() -> None:
    """A process that is killed while it has nothing to do is not missed."""
    async with embedding() as embedder:
        await embedder.embed(["bread"])
        assert embedder.pid is not None
        first = embedder.pid

        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: embedder.state is State.IDLE)
        with suppress(WorkerLostError):  # if its end is not known yet
            await embedder.embed(["bread"])

        assert await embedder.embed(["bread"]) == [vector("bread")]


async def test_killed_in_the_middle_is_told() -> None:
    """A process that is killed with texts in hand fails those and only those."""
    async with embedding() as embedder:
        await embedder.embed(["bread"])
        assert embedder.pid is not None
        hanging = asyncio.create_task(embedder.embed([HANGS]))
        waiting = asyncio.create_task(embedder.embed(["bread"]))
        await asyncio.sleep(0)

        os.kill(embedder.pid, signal.SIGKILL)

        with pytest.raises(WorkerLostError):
            await hanging
        assert await waiting == [vector("bread")]


async def test_a_broken_model_is_tried_rarely() -> None:
    """The cause is told, and until the pause is over no process is started."""
    async with embedding(BROKEN_FOLDER) as embedder:
        for _ in range(3):
            with pytest.raises(NoModelError, match="cannot be loaded"):
                await embedder.embed(["bread"])

        assert embedder.life.failures == 1
        assert embedder.pid is None


async def test_a_program_that_is_not_there_is_told() -> None:
    """An absent program is a cause like any other."""
    async with Embedder(Path(), monotonic_ms, command=("/absent",)) as embedder:
        with pytest.raises(NoModelError):
            await embedder.embed(["bread"])


async def test_an_idle_process_is_stopped() -> None:
    """A process that nobody needs goes, and comes back when needed."""
    async with embedding(idle_ms=0) as embedder:
        await embedder.embed(["bread"])
        process = embedder.pid
        assert process is not None
        await asyncio.to_thread(
            wait_until,
            lambda: embedder.pid is None and embedder.life.state is State.IDLE,
        )

        assert await embedder.embed(["bread"]) == [vector("bread")]


async def test_leaving_kills_the_process() -> None:
    """No process outlives its embedder, and nobody waits for ever."""
    async with embedding() as embedder:
        await embedder.embed(["bread"])
        pid = embedder.pid
        hanging = asyncio.create_task(embedder.embed([HANGS]))
        waiting = asyncio.create_task(embedder.embed(["bread"]))
        is_hanging = lambda: len(embedder._waiting) == 1  # noqa: E731, SLF001  # the other is under way
        await asyncio.to_thread(wait_until, is_hanging)

    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    for task in (hanging, waiting):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_who_stops_waiting_frees_the_queue() -> None:
    """A cancelled batch is not embedded, and disturbs no other."""
    async with embedding() as embedder:
        first = asyncio.create_task(embedder.embed(["bread"]))
        second = asyncio.create_task(embedder.embed([DIES]))
        await asyncio.sleep(0)

        second.cancel()

        assert await first == [vector("bread")]
        assert await embedder.embed(["butter"]) == [vector("butter")]
        assert embedder.life.failures == 0
