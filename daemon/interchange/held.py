"""Records that must wait until the rest of the input has been read.

Edges wait for the nodes at their ends. They may be millions and must not go to the
disk in clear, so they wait in memory, compressed: an edge takes about ten bytes.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

from crdt.errors import InvalidError

MAX_HELD_BYTES: Final = 256 * 1024 * 1024
_BLOCK_RECORDS: Final = 4096
_FASTEST: Final = 1

Record = TypeVar("Record")


class Held(Generic[Record]):
    """A first-in, first-out queue of records, filled once and then drained once."""

    def __init__(
        self,
        decoder: msgspec.json.Decoder[list[Record]],
        limit_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self._decoder = decoder
        self._room_bytes = limit_bytes
        self._blocks: deque[bytes] = deque()
        self._waiting: list[Record] = []

    def add(self, record: Record) -> None:
        """Put `record` at the end; raise `InvalidError` if there is no room."""
        self._waiting.append(record)
        if len(self._waiting) == _BLOCK_RECORDS:
            self._close_block()

    def drain(self) -> Iterator[Record]:
        """Yield the records in the order they came, freeing them on the way."""
        while self._blocks:
            yield from self._decoder.decode(zlib.decompress(self._blocks.popleft()))
        yield from self._waiting
        self._waiting = []

    def _close_block(self) -> None:
        block = zlib.compress(msgspec.json.encode(self._waiting), _FASTEST)
        self._room_bytes -= len(block)
        if self._room_bytes < 0:
            raise InvalidError(
                "body",
                "it holds more edges than one import can keep in memory; "
                "what came before is imported, split the rest into several files",
            )
        self._blocks.append(block)
        self._waiting = []
