"""The shards of a graph: which updates make each, and the few that are loaded.

A shard's updates lie in three layers: a compressed snapshot, compressed tail rows, and
the *fresh* updates, which the journal keeps durable and memory keeps at hand. `freeze`
moves the fresh ones of all shards into tail rows at once, so that a single write costs
no row of its own and an import writes each shard a few times instead of thousands.

Rules of this file:
1. Creating entries that no replica can hold yet needs no document: the update is made
   from the shard's own clock alone. Everything else thaws the shard.
2. Changes belong to the caller's database transaction; `undo` takes them back.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Self, TypeAlias

import apsw
import msgspec

from crdt.document import ShardDocument, merge
from crdt.errors import DamagedError
from crdt.ids import SHARD_COUNT, ShardNumber
from crdt.shard_content import AllEntries
from crdt.yjs_creations import Creations
from crdt.yjs_profile import SHARD
from crdt.yjs_update import encode_creations, join_creations, parse

Entry: TypeAlias = tuple[str, str, str]
"""(map name, map key, value)."""
EntryKey: TypeAlias = tuple[str, str]
"""(map name, map key)."""

LOADED_BYTES: Final = 6 * 1024 * 1024
"""Updates of loaded shards, together; in memory they take about 3.5 times as much."""
LOADED_COUNT: Final = 256
_NOBODY: Final = 1
"""Client id of a document that is only read."""
_TAIL_ROWS: Final = 64
_TAIL_SHARE: Final = 4
_ROW_BITS: Final = 40


class _Creation(bytes):
    """An update that only creates entries, and what it takes to join it to others."""

    client: int
    clock: int
    entry_count: int

    def __new__(cls, update: bytes, client: int, clock: int, entry_count: int) -> Self:
        creation = super().__new__(cls, update)
        creation.client, creation.clock = client, clock
        creation.entry_count = entry_count
        return creation


@dataclass(slots=True)
class _Shard:
    """What is known of a shard without loading it."""

    own_clock: int = 0
    snapshot_bytes: int = 0
    tail_count: int = 0
    tail_bytes: int = 0
    fresh: list[bytes] = field(default_factory=list)
    clocks: dict[int, int] | None = None
    """How far each client's changes are held without a gap; None if not known."""

    def copied(self) -> "_Shard":
        """Return a copy, quicker than by `dataclasses.replace`."""
        return _Shard(
            self.own_clock,
            self.snapshot_bytes,
            self.tail_count,
            self.tail_bytes,
            self.fresh,
            self.clocks,
        )


class Shards:
    """All shards of one graph, in the hands of the thread that owns it."""

    def __init__(self, connection: apsw.Connection, client_id: int) -> None:
        """Read what is known of each shard; load none."""
        self._connection = connection
        self._client_id = client_id
        self._loaded: OrderedDict[int, tuple[ShardDocument, int]] = OrderedDict()
        self._loaded_bytes = 0
        self._shards = [_Shard(clocks={}) for _ in range(SHARD_COUNT)]
        for number, *known in connection.execute(
            "SELECT number, own_clock, coalesce(length(snapshot), 0), tail_count,"
            " tail_bytes FROM shard"
        ):
            self._shards[number] = _Shard(*known)
        self._frozen: dict[int, bytes] = {}
        self._undo: dict[int, tuple[_Shard, int]] = {}

    def begin(self) -> None:
        """Remember the present state for `undo`."""
        self._undo = {}

    def undo(self) -> None:
        """Take back every change since `begin`."""
        for number, (shard, fresh_count) in self._undo.items():
            del shard.fresh[fresh_count:]
            self._shards[number] = shard
            self._unload(number)
        self._undo = {}

    def create(self, number: ShardNumber, entries: Sequence[Entry]) -> bytes:
        """Add entries whose keys the shard does not hold; return the update."""
        self._touch(number)
        shard = self._shards[number]
        clock = shard.own_clock
        update = encode_creations(self._client_id, clock, entries)
        shard.own_clock += len(entries)
        self._append(number, _Creation(update, self._client_id, clock, len(entries)))
        return update

    def write(self, number: ShardNumber, entries: Sequence[Entry]) -> bytes:
        """Set entries, whether the shard holds them or not; return the update."""
        self._touch(number)
        document = self.thaw(number)
        update = document.write(entries)
        self._keep(number, update)
        clocks = document.clocks()
        self._shards[number].clocks = clocks
        self._shards[number].own_clock = clocks.get(self._client_id, 0)
        return update

    def receive(self, number: ShardNumber, update: bytes) -> None:
        """Merge a foreign update that the parser accepted.

        Raises `MalformedError` if it does not apply; the caller then calls `undo`.
        """
        self._touch(number)
        document = self.thaw(number)
        document.apply(update)
        self._keep(number, update)
        self._shards[number].clocks = document.clocks()

    def is_next(self, number: ShardNumber, client: int, clock: int) -> bool:
        """Whether a client's changes are known to be held right up to this clock."""
        clocks = self._shards[number].clocks
        if clocks is None:
            self.thaw(number)
            clocks = self._shards[number].clocks or {}
        return clocks.get(client, 0) == clock

    def append(self, number: ShardNumber, update: bytes, made: Creations) -> None:
        """Add a foreign update that only creates entries.

        The shard holds none of their keys, and the client's changes right up to them.
        """
        self._touch(number)
        creation = _Creation(update, made.client, made.clock, len(made.entries))
        self._append(number, creation)

    def is_empty(self, number: ShardNumber) -> bool:
        """Whether a shard holds nothing at all."""
        shard = self._shards[number]
        return not (shard.snapshot_bytes or shard.tail_count or shard.fresh)

    def install(
        self, number: ShardNumber, update: bytes, creations: Creations | None
    ) -> AllEntries:
        """Make an update that the parser accepted an empty shard; return its entries.

        In the caller's transaction, without the journal. Raises `MalformedError` if it
        does not apply; the caller then calls `undo`.
        """
        self._touch(number)
        clocks, entries = _content(update, creations)
        snapshot = pack([update])
        self._connection.execute(
            "INSERT OR REPLACE INTO shard"
            " (number, own_clock, snapshot, tail_count, tail_bytes)"
            " VALUES (?, 0, ?, 0, 0)",
            (number, snapshot),
        )
        shard = self._shards[number]
        shard.snapshot_bytes = len(snapshot)
        shard.clocks = clocks
        self._unload(number)
        return entries

    def own_clock(self, number: ShardNumber) -> int:
        """Return how many changes of this device a shard holds."""
        return self._shards[number].own_clock

    def replay(self, number: ShardNumber, update: bytes) -> None:
        """Take an update from the journal at start."""
        parsed = parse(update, SHARD)
        shard = self._shards[number]
        shard.clocks = None
        if self._client_id in parsed.clients:
            shard.own_clock = max(shard.own_clock, parsed.clients[self._client_id][1])
        self._keep(number, update)

    def thaw(self, number: ShardNumber) -> ShardDocument:
        """Return the loaded document of a shard."""
        if number in self._loaded:
            self._loaded.move_to_end(number)
            return self._loaded[number][0]
        updates = list(self.updates(number))
        document = ShardDocument(self._client_id, updates)
        held = document.clocks().get(self._client_id, 0)
        if held != self._shards[number].own_clock:
            message = (
                f"Shard {number} holds {held} changes of this device where the store"
                f" counts {self._shards[number].own_clock}. Nothing was changed;"
                " 'fractality doctor' says more."
            )
            raise DamagedError(message)
        self._shards[number].clocks = document.clocks()
        size = sum(map(len, updates))
        self._loaded[number] = (document, size)
        self._loaded_bytes += size
        while len(self._loaded) > 1 and (
            self._loaded_bytes > LOADED_BYTES or len(self._loaded) > LOADED_COUNT
        ):
            self._unload(next(iter(self._loaded)))
        return document

    def updates(self, number: ShardNumber) -> Iterator[bytes]:
        """Yield the updates that make a shard, oldest layer first."""
        for (snapshot,) in self._connection.execute(
            "SELECT snapshot FROM shard WHERE number = ? AND snapshot IS NOT NULL",
            (number,),
        ):
            yield from unpack(snapshot)
        first = number << _ROW_BITS
        for (pieces,) in self._connection.execute(
            "SELECT pieces FROM shard_tail WHERE id BETWEEN ? AND ? ORDER BY id",
            (first, first + (1 << _ROW_BITS) - 1),
        ):
            yield from unpack(pieces)
        yield from self._shards[number].fresh

    def occupied(self) -> Iterator[ShardNumber]:
        """Yield the numbers of shards that hold anything."""
        for number, shard in enumerate(self._shards):
            if shard.snapshot_bytes or shard.tail_count or shard.fresh:
                yield ShardNumber(number)

    def freeze(self) -> None:
        """Move all fresh updates into tail rows, within the caller's transaction.

        After the commit the caller calls `forget_fresh`.
        """
        self._frozen = {
            number: pack(self._joined(shard.fresh))
            for number, shard in enumerate(self._shards)
            if shard.fresh
        }
        self._connection.executemany(
            "INSERT INTO shard_tail (id, pieces) VALUES (?, ?)",
            [
                ((number << _ROW_BITS) + self._shards[number].tail_count, row)
                for number, row in self._frozen.items()
            ],
        )
        self._connection.executemany(
            "INSERT INTO shard (number, own_clock, tail_count, tail_bytes)"
            " VALUES (?1, ?2, 1, ?3) ON CONFLICT (number) DO UPDATE SET"
            " own_clock = ?2, tail_count = tail_count + 1,"
            " tail_bytes = tail_bytes + ?3",
            [
                (number, self._shards[number].own_clock, len(row))
                for number, row in self._frozen.items()
            ],
        )

    def forget_fresh(self) -> None:
        """Note that what `freeze` wrote is durable."""
        for number, row in self._frozen.items():
            shard = self._shards[number]
            shard.tail_count += 1
            shard.tail_bytes += len(row)
            shard.fresh = []
        self._frozen = {}

    def due_for_compaction(self) -> list[ShardNumber]:
        """Return the shards whose tail is long beside their snapshot."""
        return [
            ShardNumber(number)
            for number, shard in enumerate(self._shards)
            if shard.tail_count >= _TAIL_ROWS
            or (
                shard.tail_count > 1
                and shard.tail_bytes * _TAIL_SHARE > max(shard.snapshot_bytes, 8192)
            )
        ]

    def compact(self, number: ShardNumber) -> None:
        """Make one snapshot of a shard's frozen layers, in the caller's transaction.

        What waits for a missing update is kept: then updates are merged, not encoded
        anew from the document.
        """
        self._touch(number)
        shard = self._shards[number]
        fresh = shard.fresh
        shard.fresh = []
        updates = list(self.updates(number))
        shard.fresh = fresh
        merged = merge(updates)
        document = ShardDocument(self._client_id, updates)
        if parse(merged, SHARD).fits(document.clocks()):
            merged = document.snapshot()
        snapshot = pack([merged])
        first = number << _ROW_BITS
        self._connection.execute(
            "DELETE FROM shard_tail WHERE id BETWEEN ? AND ?",
            (first, first + (1 << _ROW_BITS) - 1),
        )
        self._connection.execute(
            "UPDATE shard SET snapshot = ?, tail_count = 0, tail_bytes = 0"
            " WHERE number = ?",
            (snapshot, number),
        )
        shard.snapshot_bytes = len(snapshot)
        shard.tail_count = shard.tail_bytes = 0

    def _joined(self, fresh: list[bytes]) -> Iterator[bytes]:
        """Yield fresh updates with each run of creations made one."""
        for client, group in groupby(fresh, lambda u: getattr(u, "client", None)):
            if client is None:
                yield from group
                continue
            run = [update for update in group if isinstance(update, _Creation)]
            yield join_creations(
                client, run[0].clock, [(u.entry_count, u) for u in run]
            )

    def _append(self, number: int, creation: _Creation) -> None:
        if number in self._loaded:
            self._loaded[number][0].apply(creation)
        self._keep(number, creation)
        shard = self._shards[number]
        if shard.clocks is not None:
            end = creation.clock + creation.entry_count
            shard.clocks = {**shard.clocks, creation.client: end}

    def _keep(self, number: int, update: bytes) -> None:
        self._shards[number].fresh.append(update)

    def _touch(self, number: int) -> None:
        if number not in self._undo:
            shard = self._shards[number]
            self._undo[number] = (shard.copied(), len(shard.fresh))

    def _unload(self, number: int) -> None:
        dropped = self._loaded.pop(number, None)
        if dropped is not None:
            self._loaded_bytes -= dropped[1]


def _content(
    update: bytes, creations: Creations | None
) -> tuple[dict[int, int], AllEntries]:
    """Return the state vector and the entries of a shard that an update makes."""
    if creations is not None and creations.clock == 0:
        return {creations.client: creations.end}, creations.by_map()
    document = ShardDocument(_NOBODY, [update])
    return document.clocks(), document.entries()


def pack(pieces: Iterable[bytes]) -> bytes:
    """Return updates as one compressed value."""
    return zlib.compress(msgspec.msgpack.encode(list(pieces)), 1)


def unpack(packed: bytes) -> list[bytes]:
    """Return the updates that `pack` joined."""
    return msgspec.msgpack.decode(zlib.decompress(packed), type=list[bytes])
