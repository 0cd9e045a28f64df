"""What joins the person's graph and the circles, for one home that is served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from crdt.commands import Executable
from crdt.execution import Outcome
from crdt.graph_reader import GraphReader
from daemon.circles.bridge import Bridge
from daemon.circles.checkers import Checkers
from daemon.circles.checking import Model
from daemon.circles.notes import StoredNotes
from daemon.circles.ports import MeaningPort
from daemon.circles.publishing import Publishing
from daemon.circles.recognising import Recognising
from daemon.circles.shelf import OwnerShelf
from daemon.circles.watching import Watching
from daemon.owner import Owner

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of a home that is served."""

    owner: Owner
    reader: GraphReader
    threads: ThreadPoolExecutor
    """One thread: a reader is used by one thread at a time."""

    async def write(self, command: Executable) -> Outcome:
        """Carry out a command durably."""
        return await self.owner.write(command)

    async def read(self, question: Callable[[GraphReader], Answer], /) -> Answer:
        """Ask the reader, in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, question, self.reader)


@dataclass(frozen=True, slots=True)
class Joined:
    """What deals with circles on behalf of the graph."""

    publishing: Publishing
    bridge: Bridge
    watching: Watching
    checkers: Checkers


class MeaningOfTexts(MeaningPort, Model, Protocol):
    """What embeds what is published, and what others published."""


@asynccontextmanager
async def joining_graph(
    graph: Graph,
    meaning: MeaningOfTexts,
    wall_ms: Callable[[], int],
    is_watched: Callable[[], bool],
) -> AsyncIterator[Joined]:
    """Give what joins graph and circles, at work until the block ends."""
    watching = Watching(graph.owner, is_watched)
    notes = StoredNotes(graph.owner, Recognising(graph, wall_ms))
    bridge = Bridge(graph, notes, watching.tell)
    task = asyncio.create_task(watching.run(bridge))
    try:
        async with Checkers(OwnerShelf(graph.owner), meaning) as checkers:
            yield Joined(
                Publishing(meaning, notes, wall_ms), bridge, watching, checkers
            )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
