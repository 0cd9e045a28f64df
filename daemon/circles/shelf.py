"""The store as circles use it: beside the graph, in the hands of its owner."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from crdt.database import Connection
from daemon.owner import Owner

Found = TypeVar("Found")


class Shelf(Protocol):
    """Where a circle is kept. What was awaited is durable, or raises a `StoreError`."""

    async def read(self, read: Callable[[Connection], Found]) -> Found:
        """Return what `read` finds."""

    async def write(self, write: Callable[[Connection], None]) -> None:
        """Make durable what `write` writes, all of it or nothing."""


class OwnerShelf:
    """The store of a home that is served."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    async def read(self, read: Callable[[Connection], Found]) -> Found:
        """Return what `read` finds, in the owner's thread."""
        return await self._owner.run(lambda replica: replica.look_aside(read))

    async def write(self, write: Callable[[Connection], None]) -> None:
        """Make durable what `write` writes, in a transaction of its own."""
        await self._owner.run(lambda replica: replica.put_aside(write))
