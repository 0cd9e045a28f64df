"""A file on its way into the graph: read in a thread, applied by the owner in groups.

The readers of `daemon.interchange` are plain generators over chunks. They run in a
thread of their own, which takes chunks from a bounded queue and waits while the owner
works, so a file of any size passes through little memory.
"""

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import msgspec

from crdt.commands import (
    AddNode,
    AnyCommand,
    ImportEdge,
    ImportNode,
    PutBody,
    PutEdge,
    PutNode,
)
from crdt.committed import Committed
from crdt.errors import RefusedError
from crdt.replica import Replica
from daemon.interchange.formats import Format
from daemon.interchange.records import Failure, IfAbsent, Imported
from daemon.owner import Owner

_GROUP: Final = 2_000
_WAITING_CHUNKS: Final = 8


class BrokenOffError(RefusedError):
    """The input ended before it was complete; what was applied until then stands."""


class PassedOverError(RefusedError):
    """A part of the input could not be read; the rest was."""


class ItemRefusal(msgspec.Struct, frozen=True):
    """A part of the input that was not taken in."""

    item: str
    """Line, note or key."""
    error: RefusedError


class Taken(msgspec.Struct, frozen=True):
    """What became of one group."""

    applied: int
    refusals: list[ItemRefusal]
    committed: Committed


async def import_stream(
    owner: Owner,
    file_format: Format,
    chunks: AsyncIterator[bytes],
    wall_ms: Callable[[], int],
    report: Callable[[Taken], Awaitable[None]],
) -> None:
    """Take in a stream; `report` is awaited after each durable group.

    Raises `InvalidError`, `BrokenOffError` or another error of ours where the input
    cannot be read any further; groups reported until then are durable.
    """
    loop = asyncio.get_running_loop()
    passing = _Chunks(loop)

    async def take(group: list[AnyCommand | ItemRefusal]) -> None:
        def apply(replica: Replica) -> Taken:
            taken = _apply(replica, group, wall_ms())
            # Here, so that the loop learns of commits in their order.
            owner.tell(taken.committed)
            return taken

        await report(await owner.run(apply))

    def read() -> None:
        for group in _groups(file_format.read(passing)):
            asyncio.run_coroutine_threadsafe(take(group), loop).result()

    reading = loop.run_in_executor(None, read)
    reading.add_done_callback(lambda _: passing.abandon())
    try:
        async for chunk in chunks:
            if reading.done():
                break
            await passing.put(chunk)
    except BaseException:
        passing.end(is_broken=True)
        await asyncio.wait((reading,))
        reading.exception()  # it follows from what is raised here
        raise
    passing.end(is_broken=False)
    await reading


class _Chunks:
    """Hands chunks from the event loop to a reading thread, a few at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(_WAITING_CHUNKS)
        self._is_broken = False

    async def put(self, chunk: bytes) -> None:
        """Add a chunk when there is room, or when nobody reads any more."""
        await self._room.acquire()
        self._queue.put(chunk)

    def end(self, *, is_broken: bool) -> None:
        """Add the end; a broken one makes the reader fail."""
        self._is_broken = is_broken
        self._queue.put(None)

    def abandon(self) -> None:
        """Let whoever waits for room go on: the reader has ended."""
        self._room.release()

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._queue.get()) is not None:
            self._loop.call_soon_threadsafe(self._room.release)
            yield chunk
        if self._is_broken:
            message = "The input broke off; what was taken in until then is safe."
            raise BrokenOffError(message)


def _groups(
    items: Iterator[Imported],
) -> Iterator[list[AnyCommand | ItemRefusal]]:
    group: list[AnyCommand | ItemRefusal] = []
    for item in items:
        group.append(_command(item))
        if len(group) == _GROUP:
            yield group
            group = []
    if group:
        yield group


def _command(item: Imported) -> AnyCommand | ItemRefusal:
    match item:
        case IfAbsent(node=node):
            return AddNode(node.key, node.label, node.type, node.metadata, node.network)
        case Failure(place=place, detail=detail):
            return ItemRefusal(place, PassedOverError(detail))
        case _:
            return item


def _apply(
    replica: Replica, group: list[AnyCommand | ItemRefusal], now_ms: int
) -> Taken:
    commands = [item for item in group if not isinstance(item, ItemRefusal)]
    refusals = [item for item in group if isinstance(item, ItemRefusal)]
    committed = replica.apply(commands, now_ms)
    refused = [
        ItemRefusal(_name(command), outcome)
        for command, outcome in zip(commands, committed.outcomes, strict=True)
        if isinstance(outcome, RefusedError)
    ]
    return Taken(len(commands) - len(refused), [*refusals, *refused], committed)


def _name(command: AnyCommand) -> str:
    match command:
        case PutEdge() | ImportEdge():
            return f"edge from '{command.source}' to '{command.target}'"
        case PutNode() | AddNode() | ImportNode() | PutBody():
            return command.key
        case _:
            return type(command).__name__
