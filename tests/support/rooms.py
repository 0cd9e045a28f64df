"""Rooms of live editing on a store that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from crdt.commands import EditBody
from crdt.committed import Committed
from crdt.execution import Outcome
from crdt.ids import NodeKey
from crdt.payload import BodyChange
from daemon.live.bodies import LiveBodies
from daemon.live.editor import (
    Editor,
)
from daemon.live.room import BodyStore, Room
from daemon.live.y_protocol import (
    Message,
    Presence,
    decode_message,
    encode_message,
)

KEY: Final = NodeKey("mill")
HERE: Final = Presence(1, 0, '{"name":"Ada"}')
GONE: Final = Presence(1, 0, None)


@dataclass
class Disk:
    """A store that does what the test says, and remembers what it was asked."""

    asked: list[tuple[bytes, ...]] = field(default_factory=list)
    trouble: Callable[[tuple[bytes, ...]], Exception | None] = lambda _: None
    is_free: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    now_ms: int = 0
    live: LiveBodies = field(init=False)

    def __post_init__(self) -> None:
        """Begin without delays."""
        self.is_free.set()

    async def edit(self, command: EditBody) -> Outcome:
        self.asked.append(command.updates)
        self.begun.set()
        await self.is_free.wait()
        trouble = self.trouble(command.updates)
        if trouble is not None:
            raise trouble
        bodies = [BodyChange(KEY, update) for update in command.updates]
        self.live.tell(Committed((), 1, (), bodies=bodies))
        return Outcome(command.key)

    async def missing(self, key: NodeKey, state: bytes) -> tuple[bytes, bytes]:
        if trouble := self.trouble((state,)):
            raise trouble
        return b"lacks " + state, b"state of " + key.encode()


@asynccontextmanager
async def living() -> AsyncIterator[Disk]:
    """Keep bodies live on such a store until everybody has left."""
    disk = Disk()
    live = LiveBodies(BodyStore(disk.edit, disk.missing), lambda: disk.now_ms)
    disk.live = live
    async with live:
        yield disk


@asynccontextmanager
async def joined(disk: Disk) -> AsyncIterator[tuple[Room, Editor]]:
    """Let a client take part until the block ends."""
    room, editor = disk.live.join(KEY)
    try:
        yield room, editor
    finally:
        disk.live.leave(room, editor)


async def send(room: Room, editor: Editor, message: Message) -> None:
    await room.receive(editor, encode_message(message))


async def heard(editor: Editor, count: int) -> list[Message]:
    """Return the next messages for a client."""
    found = []
    for _ in range(count):
        data = await editor.next_message()
        assert data is not None
        found.append(decode_message(data))
    return found
