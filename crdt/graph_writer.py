"""Durable groups: how changes of any origin become journal, rows and envelopes.

Rules of this file:
1. A change is durable or did not happen: journal, rows, counts and digest are written
   in one transaction, and what memory holds follows the commit or is taken back.
2. An update leaves the journal only when it stands in a shard's tail and, if it is
   this device's own, in an envelope. No crash can separate these.
3. Times and randomness come from outside.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Final

import msgspec

from crdt import digest, journal, stream_archive
from crdt.bodies import Bodies
from crdt.database import Connection, Database, commit_number, store_errors
from crdt.devices import OWN_DEVICE
from crdt.early_changes import EarlyEdges
from crdt.events import Event
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.index_store import load_index, save_index, unsaved_rows
from crdt.node_changes import NodeChanges
from crdt.outbox import Outbox
from crdt.payload import Change, ShardChange
from crdt.sealing import SealingSchedule
from crdt.shards import Entry, EntryKey, Shards
from crdt.space_keys import SpaceKeys
from crdt.staging import Group
from crdt.totals import Totals, read_totals, write_totals

SAVE_INDEX_ROWS: Final = 100_000
"""Rows that a start may have to catch up before the index is saved again."""
_PIECE_CHARACTERS: Final = 256 * 1024
_COMPACT_AT_ONCE: Final = 4
_PAGE_COUNTS: Final = ("freelist_count", "page_count")
_FREE_PAGES: Final = 512
_FREE_SHARE: Final = 20
"""Up to this part of the file may lie free, to be used by the next writes."""


class GraphWriter:
    """What is written of one space, in the hands of the one thread that owns it."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        keys: SpaceKeys,
        *,
        randomness: Callable[[int], bytes],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """Load the index and replay the journal of an open database."""
        self._database = database
        self._connection = database.writer
        self._identity = identity
        self._randomness = randomness
        self._monotonic_ms = monotonic_ms
        self._schedule = SealingSchedule()
        self._bodies = Bodies(self._connection, identity.client_id)
        self.device_clients: frozenset[int] = frozenset({identity.client_id})
        """Client ids of the space's devices: nobody else edits under them."""
        self.use_keys(keys)
        with store_errors():
            self.totals = read_totals(self._connection)
            self._commits = commit_number(self._connection)
            self.index = load_index(self._connection)
            self.shards = Shards(self._connection, identity.client_id)
            self.node_changes = NodeChanges(self._connection)
            self._unsealed = journal.replay(self._connection, self.totals, self.shards)
        self._advanced: list[tuple[DeviceId, int, bytes]] = []
        if self._unsealed:
            self._schedule.add(len(self._unsealed), monotonic_ms())

    @property
    def seal_due_ms(self) -> int | None:
        """When `seal` should be called; None if nothing waits."""
        if self._advanced:
            return self._monotonic_ms()
        return self._schedule.due_ms

    @property
    def has_unsealed(self) -> bool:
        """Whether something of this device stands in no envelope yet."""
        return bool(self._unsealed)

    def use_keys(self, keys: SpaceKeys) -> None:
        """Seal under the present epoch of these keys from now on."""
        self.keys = keys
        self._outbox = Outbox(self._connection, self._identity, keys, self._randomness)

    def take_advanced(self) -> list[tuple[DeviceId, int, bytes]]:
        """Return the envelopes that became durable and that nobody was told of yet."""
        advanced, self._advanced = self._advanced, []
        return advanced

    def advance(self, device: DeviceId, sequence: int, encoded: bytes) -> None:
        """Take note that another device's envelope became durable."""
        self._advanced.append((device, sequence, encoded))

    def seal(self) -> None:
        """Move everything unsealed into envelopes, durably."""
        if not self._unsealed:
            return
        with self.transaction() as totals:
            sealed = self._seal(self._unsealed, totals)
        self._unsealed = []
        self._advanced += sealed
        self._schedule.sealed(self._monotonic_ms())

    def seal_change(self, change: Change) -> None:
        """Seal a change that is not in the journal, while nothing else is unsealed."""
        with self.transaction() as totals:
            sealed = self._seal([change], totals)
        self._advanced += sealed

    def freeze(self) -> None:
        """Move fresh updates of all shards into tail rows, durably."""
        if self.totals.frozen_through == self.totals.journal:
            return
        with self.transaction() as totals:
            self.shards.freeze()
            totals.frozen_through = totals.journal
            totals.journal_bytes = 0
            journal.trim(self._connection, totals)
        self.shards.forget_fresh()

    def compact(self) -> bool:
        """Make snapshots of some shards with long tails; return whether more wait."""
        due = self.shards.due_for_compaction()
        if due:
            with self.transaction():
                for number in due[:_COMPACT_AT_ONCE]:
                    self.shards.compact(number)
        return len(due) > _COMPACT_AT_ONCE

    def shrink(self) -> bool:
        """Give some free pages back to the disk; return whether more wait."""
        connection = self._connection
        with store_errors():
            free, pages = (connection.pragma(name) for name in _PAGE_COUNTS)
            if free < max(_FREE_PAGES, pages // _FREE_SHARE):
                return False
            connection.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
        return True

    def save_index(self, *, at_least: int = SAVE_INDEX_ROWS) -> None:
        """Save the index if a start would have to read `at_least` rows without it."""
        with store_errors():
            unsaved = unsaved_rows(self._connection, self.index)
        if unsaved >= at_least:
            with self.transaction():
                save_index(self._connection, self.index)

    def forget_receipts(self, before_ms: int) -> None:
        """Drop the receipts of requests that nobody will repeat any more."""
        with self.transaction():
            self._connection.execute(
                "DELETE FROM receipt WHERE time_ms < ?", (before_ms,)
            )

    def archive(self, now_ms: int) -> bool:
        """Move some of the old histories into a file; return whether more wait."""
        connection = self._connection
        with store_errors():
            if not stream_archive.is_due(connection, now_ms):
                return False
        with self.transaction():
            stream_archive.archive_some(
                connection, self._database.home, now_ms, self._randomness
            )
        return True

    def derive(self, write: Callable[[Connection], Sequence[Event]]) -> Sequence[Event]:
        """Let `write` change derived rows durably; return the events it returns."""
        with self.transaction() as totals:
            events = write(self._connection)
            totals.events += len(events)
        return events

    @contextmanager
    def transaction(self) -> Iterator[Totals]:
        """Commit what the block writes and the totals it leaves, or take all back."""
        totals = msgspec.structs.replace(self.totals)
        self.shards.begin()
        with store_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield totals
                write_totals(self._connection, totals, self._commits + 1)
                self._connection.execute("COMMIT")
            except BaseException:
                self.shards.undo()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self.totals = totals
        self._commits += 1
        self._database.acknowledge(self._commits)

    def commit(self, stage: Callable[[Group], None], device: int, now_ms: int) -> Group:
        """Write one group and let readers see it; return it.

        `device` is the local number of the device whose changes it holds.
        """
        if self.totals.journal_bytes > journal.MAX_BYTES:
            self.freeze()
        group = self._group(device, now_ms)
        unsealed, schedule = self._unsealed, copy(self._schedule)
        sealed: list[tuple[DeviceId, int, bytes]] = []
        try:
            with self.transaction() as totals:
                stage(group)
                changes = self._write(group, device, totals)
                if changes and device == OWN_DEVICE:
                    schedule.add(len(changes), self._monotonic_ms())
                    unsealed = [*unsealed, *changes]
                    if self._is_due(schedule):
                        sealed = self._seal(unsealed, totals)
                        schedule.sealed(self._monotonic_ms())
                        unsealed = []
                self._note_origins(group, 0 if unsealed else totals.chain_sequence)
        except BaseException:
            group.undo()
            raise
        self._unsealed, self._schedule = unsealed, schedule
        self._advanced += sealed
        group.show()
        self.index.fold()
        return group

    def _group(self, device: int, now_ms: int) -> Group:
        is_noted = device == OWN_DEVICE and self.node_changes.floor is not None
        return Group(
            self._connection,
            self.index,
            self.keys,
            self._identity.device,
            self._identity.client_id,
            self.device_clients,
            self._bodies,
            now_ms,
            early=EarlyEdges(self._connection),
            held_entries=lambda number: self.shards.thaw(number).entries(),
            origin=(OWN_DEVICE, 0) if is_noted else None,
        )

    def _write(self, group: Group, device: int, totals: Totals) -> list[Change]:
        """Write what a group staged; return the changes as the journal has them."""
        changes = group.changes
        for shard, entries in group.entries.items():
            write = self.shards.write if shard in group.known else self.shards.create
            changes += [
                ShardChange(shard, write(shard, piece)) for piece in _pieces(entries)
            ]
        group.write_rows()
        tally = group.tally
        totals.nodes += tally.nodes
        totals.edges += tally.edges
        totals.digest = digest.combined(
            int.from_bytes(totals.digest), tally.added, tally.removed
        ).to_bytes(digest.DIGEST_BYTES)
        totals.events += len(group.events)
        if changes:
            journal.append(self._connection, totals, device, changes)
        return changes

    def _note_origins(self, group: Group, own_sequence: int) -> None:
        """Note which envelopes hold the group's changes; 0 is none yet."""
        self.node_changes.write(
            {
                node: (OWN_DEVICE, own_sequence) if origin[0] == OWN_DEVICE else origin
                for node, origin in group.origins.items()
            }
        )

    def _is_due(self, schedule: SealingSchedule) -> bool:
        due_ms = schedule.due_ms
        return due_ms is not None and due_ms <= self._monotonic_ms()

    def _seal(
        self, unsealed: list[Change], totals: Totals
    ) -> list[tuple[DeviceId, int, bytes]]:
        """Seal changes in the caller's transaction; return the envelopes."""
        sealed = self._outbox.write(unsealed, totals)
        if self.node_changes.floor is not None:
            self.node_changes.seal(totals.chain_sequence)
        return sealed


def _pieces(entries: Mapping[EntryKey, str]) -> Iterator[list[Entry]]:
    """Yield entries in parts, each small enough to be sealed."""
    piece: list[Entry] = []
    size = 0
    for (name, key), value in entries.items():
        piece.append((name, key, value))
        size += len(key) + len(value)
        if size > _PIECE_CHARACTERS:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
