"""All bodies that are edited live on this device."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from crdt.committed import Committed
from crdt.errors import ConflictError
from crdt.ids import NodeKey
from daemon.live.awareness import Source
from daemon.live.editor import NO_NODE, STOPPING, Editor
from daemon.live.room import BodyStore, Room
from daemon.live.y_protocol import decode_presences, encode_presences

MAX_EDITORS: Final = 256


class LiveBodies:
    """Joins clients to rooms and tells rooms what became durable.

    Presence can be carried to other devices: `carry`, if set, is called on the event
    loop with (node key, awareness update) for all that clients here show, and must not
    wait; `hear` takes in what another device carried here, under a name for it, and
    `forget` drops that again. None of it is stored or repeated.
    """

    def __init__(self, store: BodyStore, monotonic_ms: Callable[[], int]) -> None:
        """Keep nothing live yet."""
        self.carry: Callable[[NodeKey, bytes], None] | None = None
        self._store = store
        self._monotonic_ms = monotonic_ms
        self._rooms: dict[NodeKey, Room] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Be ready for clients."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Store what has come in; the clients have left."""
        await self._tasks.__aexit__(kind, error, trace)

    def join(self, key: NodeKey) -> tuple[Room, Editor]:
        """Return a new client of a node's body, and its room; `leave` it again.

        Raises `ConflictError` if there are too many.
        """
        if sum(len(room.editors) for room in self._rooms.values()) >= MAX_EDITORS:
            message = f"There are {MAX_EDITORS} live editors already; close some."
            raise ConflictError(message)
        room = self._rooms.get(key)
        if room is None:
            room = Room(key, self._store, self._monotonic_ms, self._carry)
            self._rooms[key] = room
            self._tasks.create_task(self._run(room))
        editor = Editor()
        room.join(editor)
        return room, editor

    def leave(self, room: Room, editor: Editor) -> None:
        """Let a client go."""
        room.leave(editor)
        if not room.editors:
            self._close(room)

    def tell(self, committed: Committed) -> None:
        """Take note of what became durable, from clients, commands or devices."""
        for change in committed.bodies:
            if room := self._rooms.get(change.node):
                room.show_update(change.update)
        for event in committed.events:
            if event.type == "node.deleted" and (
                room := self._rooms.get(NodeKey(event.key))
            ):
                room.end(NO_NODE)

    def stop(self) -> None:
        """Let every client go because the daemon ends."""
        for room in self._rooms.values():
            room.end(STOPPING)

    def hear(self, key: NodeKey, presences: bytes, source: Source) -> None:
        """Show clients here who edits elsewhere, or raise `MalformedError`."""
        told = decode_presences(presences)
        if room := self._rooms.get(key):
            room.hear(list(told), source)

    def forget(self, source: Source) -> None:
        """Show clients here that those of `source` are gone: its link broke off."""
        for room in self._rooms.values():
            room.forget(source)

    def presences(self) -> list[tuple[NodeKey, bytes]]:
        """Return who edits here, by body, for a device that has just come."""
        return [
            (room.key, encode_presences(own))
            for room in self._rooms.values()
            if (own := room.own_presences())
        ]

    async def _run(self, room: Room) -> None:
        await room.run()
        self._close(room)

    def _close(self, room: Room) -> None:
        """Let whoever comes next have a new room."""
        if self._rooms.get(room.key) is room:
            del self._rooms[room.key]

    def _carry(self, key: NodeKey, presences: bytes) -> None:
        if self.carry is not None:
            self.carry(key, presences)
