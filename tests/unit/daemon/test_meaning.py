"""Texts that wait are embedded, and questions answered, by a stand-in for the model."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consensus.embedder import Embedder
from consensus.errors import NoModelError
from consensus.model_folder import TOKENIZER, WEIGHTS, folder_tag
from consensus.model_tag import DIMENSION
from crdt.commands import PatchNode, PutNode
from crdt.committed import Committed
from crdt.database import Database
from crdt.events import Event
from crdt.meaning_reader import MeaningReader
from crdt.replica import Replica
from daemon.meaning.meaning import TURNED_OFF, Meaning, Standing
from daemon.meaning.thoughts import Job, Thoughts
from daemon.owner import Owner
from tests.support.replicas import (
    SPACE_KEYS,
    START_MS,
    STORE_KEY,
    dice,
    identity,
    scratch_folder,
)
from tests.support.stand_in_model import (
    ABSENT_FOLDER,
    BROKEN_FOLDER,
    COMMAND,
    DIES,
    FAILS,
)


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when `condition` holds, or fail when it does not in half a minute."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  # several threads bring it about
            await asyncio.sleep(0.01)


def model_folder(place: Path, name: str = "model") -> Path:
    """Make a folder whose files give it a tag of its own."""
    folder = place / name
    folder.mkdir(exist_ok=True)
    for file in (WEIGHTS, TOKENIZER):
        (folder / file).write_text(name)
    return folder


@dataclass
class Desk:
    """A running owner with its meaning, and the events that were told."""

    owner: Owner
    meaning: Meaning
    events: list[Event] = field(default_factory=list)

    async def put(self, **labels: str) -> None:
        await self.owner.write_all(
            [PutNode(key, label) for key, label in labels.items()]
        )

    async def caught_up(self) -> None:
        """Return when nothing waits."""

        async def is_empty() -> bool:
            return (await self.meaning.standing()).queued == 0

        await until(is_empty)

    async def told_cause(self) -> Standing:
        """Return the standing when it has a cause."""

        async def has_cause() -> bool:
            return (await self.meaning.standing()).cause is not None

        await until(has_cause)
        return await self.meaning.standing()

    async def answered_by(self, other_than: str | None) -> None:
        """Return when another model answers."""

        async def has_changed() -> bool:
            return (await self.meaning.standing()).model != other_than

        await until(has_changed)

    async def queued(self, count: int) -> None:
        """Return when so many texts wait."""

        async def is_so() -> bool:
            return (await self.meaning.standing()).queued == count

        await until(is_so)

    async def done(self, thoughts: Thoughts, name: str) -> Job:
        """Return a job when it is done."""

        async def is_done() -> bool:
            return thoughts.job(name).is_done

        await until(is_done)
        return thoughts.job(name)

    async def told(self, kind: str) -> Event:
        """Return the first event of this kind when it is told."""

        async def is_told() -> bool:
            return any(event.type == kind for event in self.events)

        await until(is_told)
        return next(event for event in self.events if event.type == kind)

    async def pid(self, other_than: int | None) -> int:
        """Return the id of the process when it is another one."""

        async def is_there() -> bool:
            return self.meaning.embedder.pid not in (None, other_than)

        await until(is_there)
        return self.meaning.embedder.pid or 0

    async def near(self, text: str) -> list[str]:
        question = await self.meaning.question(text, 30)
        found = await self.meaning.nearest(question, 5)
        return [node.key for node, near in found if near > 0.2]


@asynccontextmanager
async def desk(home: Path, folder: Path | None) -> AsyncIterator[Desk]:
    """Serve a home with the stand-in for the model in `folder`."""
    await asyncio.to_thread(home.mkdir, exist_ok=True)
    told: list[Event] = []
    held: list[Meaning] = []

    def tell(committed: Committed) -> None:
        told.extend(committed.events)
        for meaning in held:
            meaning.committed(committed)

    with Database(home, STORE_KEY) as database:
        async with AsyncExitStack() as parts:
            owner = Owner(
                lambda: Replica(
                    database,
                    identity(0),
                    SPACE_KEYS,
                    randomness=dice("desk"),
                    monotonic_ms=monotonic_ms,
                ),
                lambda: START_MS,
                monotonic_ms,
                tell,
            )
            await parts.enter_async_context(owner)
            reader = MeaningReader(database, owner.replica.index)
            parts.enter_context(reader)
            threads = ThreadPoolExecutor(1)
            parts.callback(threads.shutdown)
            meaning = Meaning(
                owner,
                reader,
                threads,
                lambda folder: Embedder(folder, monotonic_ms, command=COMMAND),
                folder,
                cause_if_none=TURNED_OFF,
            )
            held.append(await parts.enter_async_context(meaning))
            yield Desk(owner, meaning, told)


async def test_texts_are_embedded_as_they_come() -> None:
    """What is written is found by meaning soon after, with progress told."""
    with scratch_folder() as place:
        async with desk(place / "home", model_folder(place)) as it:
            await it.put(bread="bake bread", bus="the bus is late", empty="  ")
            await it.caught_up()

            assert await it.near("late bus") == ["bus"]
            await it.owner.write(PatchNode("bus", label="a green boat"))
            await it.caught_up()
            assert await it.near("boat") == ["bus"]
            assert await it.meaning.resonant("empty", 5, 0.0) == []
            progress = [e.queued for e in it.events if e.type == "embedding.progress"]
            assert progress[-1] == 0
            standing = await it.meaning.standing()
            assert (standing.state, standing.cause) == ("ready", None)


async def test_what_waited_is_embedded_after_a_restart() -> None:
    """The queue survives; embeddings that were off are made up for when they are on."""
    with scratch_folder() as place:
        async with desk(place / "home", None) as it:
            await it.put(bread="bake bread", bus="the bus is late")
            with pytest.raises(NoModelError, match="turned off"):
                await it.meaning.question("bus", 1)
            standing = await it.meaning.standing()
            assert (standing.state, standing.queued) == ("off", 2)

        async with desk(place / "home", model_folder(place)) as it:
            await it.caught_up()
            assert await it.near("late bus") == ["bus"]


async def test_a_killed_process_loses_nothing() -> None:
    """However often the process is killed, all texts are embedded in the end."""
    with scratch_folder() as place:
        async with desk(place / "home", model_folder(place)) as it:
            labels = {f"n{number}": f"word{number} text" for number in range(300)}
            await it.put(**labels)
            pid = None
            for _ in range(3):
                pid = await it.pid(other_than=pid)
                os.kill(pid, signal.SIGKILL)
            await it.caught_up()

            assert await it.near("word77") == ["n77"]


@pytest.mark.parametrize("text", [DIES, FAILS])
async def test_a_text_that_no_process_survives_is_left_out(text: str) -> None:
    """It holds up no other text, and is found by no question."""
    with scratch_folder() as place:
        async with desk(place / "home", model_folder(place)) as it:
            await it.put(bread="bake bread", odd=text, bus="the bus is late")
            await it.caught_up()

            assert await it.near("late bus") == ["bus"]
            assert await it.near("bread") == ["bread"]


async def test_a_broken_model_is_told_and_not_hammered() -> None:
    """The state says what is wrong, texts go on waiting, and one process was tried."""
    with scratch_folder() as place:
        folder = model_folder(place, BROKEN_FOLDER)
        async with desk(place / "home", folder) as it:
            await it.put(bread="bake bread")
            standing = await it.told_cause()

            assert standing.state == "waiting"
            assert "cannot be loaded" in (standing.cause or "")
            assert standing.queued == 1
            assert it.meaning.embedder.life.failures == 1
            assert (await it.owner.write(PutNode("bus", "bus"))).is_created


async def test_an_absent_folder_is_told() -> None:
    """A folder that is not there is a cause like any other."""
    with scratch_folder() as place:
        async with desk(place / "home", place / ABSENT_FOLDER) as it:
            await it.put(bread="bake bread")
            standing = await it.told_cause()

            assert standing.queued == 1


async def test_the_former_model_answers_until_the_new_one_is_through() -> None:
    """A model change re-embeds all; a question meanwhile goes to the former model."""
    with scratch_folder() as place:
        async with desk(place / "home", model_folder(place, "old")) as it:
            await it.put(bread="bake bread", bus="the bus is late")
            await it.caught_up()
            old = (await it.meaning.standing()).model

        broken = model_folder(place, BROKEN_FOLDER)
        async with desk(place / "home", broken) as it:
            await it.queued(2)
            assert (await it.meaning.standing()).model == old
            assert await it.near("late bus") == ["bus"]

        async with desk(place / "home", model_folder(place, "new")) as it:
            await it.answered_by(other_than=old)
            await it.caught_up()
            assert await it.near("late bus") == ["bus"]


async def test_a_thought_learns_what_it_resonates_with() -> None:
    """The job is known at once, the best other node later, as an event, too."""
    with scratch_folder() as place:
        async with desk(place / "home", model_folder(place)) as it:
            await it.put(bread="bake bread", bus="the bus is late")
            await it.caught_up()
            thoughts = Thoughts(it.meaning, it.owner, dice("thoughts"))
            await it.put(late="a late bus")

            name = thoughts.follow("late", "a late bus")
            job = await it.done(thoughts, name)
            assert (job.nearest, job.cause) == ("bus", None)
            assert job.resonance is not None
            assert job.resonance > 0.5
            event = await it.told("thought.resonance")
            assert event.resonance == job.resonance


async def test_a_thought_without_a_model_says_why() -> None:
    """Without embeddings a thought is a node like any other, and the job says so."""
    with scratch_folder() as place:
        async with desk(place / "home", None) as it:
            thoughts = Thoughts(it.meaning, it.owner, dice("thoughts"))
            await it.put(late="a late bus")
            name = thoughts.follow("late", "a late bus")

            assert (await it.done(thoughts, name)).cause == TURNED_OFF


async def test_others_texts_are_embedded_by_the_model_that_is_named() -> None:
    """Who checks texts is told the model's tag, or that there is none."""
    with scratch_folder() as place:
        folder = model_folder(place)
        async with desk(place / "home", folder) as it:
            assert await it.meaning.present_tag() == folder_tag(folder)
            vectors = await it.meaning.in_background(["bake bread", "a late bus"])
            assert [len(each) for each in vectors] == [DIMENSION, DIMENSION]
        async with desk(place / "other", None) as it:
            assert await it.meaning.present_tag() is None
            with pytest.raises(NoModelError):
                await it.meaning.in_background(["bake bread"])
