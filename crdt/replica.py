"""One device's copy of a graph, in the hands of the one thread that owns it.

Rules of this file:
1. A change is durable or did not happen: journal, rows, counts and digest are written
   in one transaction, and what memory holds follows the commit or is taken back.
2. An update leaves the journal only when it stands in a shard's tail and, if it is
   this device's own, in an envelope. No crash can separate these.
3. `now_ms` and randomness come from outside.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from crdt import digest, journal
from crdt.backup import write_backup
from crdt.commands import Executable
from crdt.database import Connection, Database, commit_number, store_errors
from crdt.devices import OWN_DEVICE, device_number
from crdt.errors import RefusedError
from crdt.execution import Outcome, execute
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.index_store import load_index, save_index, unsaved_rows
from crdt.outbox import Outbox
from crdt.payload import BodyChange, Change, ShardChange
from crdt.reception import merge_changes
from crdt.sealing import SealingSchedule
from crdt.shards import Entry, Shards
from crdt.space_keys import SpaceKeys
from crdt.staging import EntryKey, Event, Group
from crdt.totals import Totals, read_totals, write_totals

SAVE_INDEX_ROWS: Final = 100_000
"""Rows that a start may have to catch up before the index is saved again."""
_PIECE_CHARACTERS: Final = 256 * 1024
_COMPACT_AT_ONCE: Final = 4
_PAGE_COUNTS: Final = ("freelist_count", "page_count")
_FREE_PAGES: Final = 512
_FREE_SHARE: Final = 20
"""Up to this part of the file may lie free, to be used by the next writes."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A durable group: what became of its commands, and what to tell watchers."""

    outcomes: Sequence[Outcome | RefusedError]
    first_event: int
    events: Sequence[Event]
    bodies: Sequence[BodyChange] = ()
    """What became durable of bodies, from whomever it came."""


class Replica:
    """The graph of one space: writing side."""

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
        self._keys = keys
        self._outbox = Outbox(self._connection, identity, keys, randomness)
        self._monotonic_ms = monotonic_ms
        self._schedule = SealingSchedule()
        with store_errors():
            self.totals = read_totals(self._connection)
            self._commits = commit_number(self._connection)
            self.index = load_index(self._connection)
            self._shards = Shards(self._connection, identity.client_id)
            self._unsealed = journal.replay(self._connection, self.totals, self._shards)
        if self._unsealed:
            self._schedule.add(len(self._unsealed), monotonic_ms())

    @property
    def digest(self) -> str:
        """Text form of the digest of everything visible."""
        return digest.format_digest(int.from_bytes(self.totals.digest))

    @property
    def seal_due_ms(self) -> int | None:
        """When `seal` should be called; None if nothing waits."""
        return self._schedule.due_ms

    def apply(self, commands: Iterable[Executable], now_ms: int) -> Committed:
        """Carry out commands in order as one durable group.

        A refused command changes nothing and the others stand. Raises `StoreError`
        if nothing could be written; then none of them happened.
        """
        outcomes: list[Outcome | RefusedError] = []

        def stage(group: Group) -> None:
            for command in commands:
                try:
                    outcomes.append(execute(group, command))
                except RefusedError as refusal:
                    outcomes.append(refusal)

        group = self._commit(stage, OWN_DEVICE, now_ms)
        return self._told(group, outcomes)

    def receive(
        self, changes: Sequence[Change], sender: DeviceId, client_id: int, now_ms: int
    ) -> Committed:
        """Merge what another device's envelope holds, as one durable group.

        `client_id` is the one the sender may write under. Raises a `PeerError` with
        nothing changed if any of it is malformed or written in another's name.
        """
        with store_errors():
            device = device_number(self._connection, sender)
        group = self._commit(
            lambda group: merge_changes(group, self._shards, changes, client_id),
            device,
            now_ms,
        )
        return self._told(group, [])

    def derive(self, write: Callable[[Connection], Sequence[Event]]) -> Committed:
        """Let `write` change derived rows durably; it returns what to tell watchers."""
        with self._transaction() as totals:
            events = write(self._connection)
            totals.events += len(events)
        return Committed([], self.totals.events - len(events) + 1, events)

    def seal(self) -> None:
        """Move everything unsealed into envelopes, durably."""
        if self._unsealed:
            with self._transaction() as totals:
                self._outbox.write(self._unsealed, totals)
            self._unsealed = []
        self._schedule.sealed(self._monotonic_ms())

    def freeze(self) -> None:
        """Move fresh updates of all shards into tail rows, durably."""
        if self.totals.frozen_through == self.totals.journal:
            return
        with self._transaction() as totals:
            self._shards.freeze()
            totals.frozen_through = totals.journal
            totals.journal_bytes = 0
            journal.trim(self._connection, totals)
        self._shards.forget_fresh()

    def compact(self) -> bool:
        """Make snapshots of some shards with long tails; return whether more wait."""
        due = self._shards.due_for_compaction()
        if due:
            with self._transaction():
                for number in due[:_COMPACT_AT_ONCE]:
                    self._shards.compact(number)
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
            with self._transaction():
                save_index(self._connection, self.index)

    def forget_receipts(self, before_ms: int) -> None:
        """Drop the receipts of requests that nobody will repeat any more."""
        with self._transaction():
            self._connection.execute(
                "DELETE FROM receipt WHERE time_ms < ?", (before_ms,)
            )

    def back_up(self, target: Path, now_ms: int) -> None:
        """Write a verified backup of everything into a new file.

        Raises a `StoreError` with no file left.
        """
        self.seal()
        self.freeze()
        write_backup(self._database, self._identity, target, now_ms)

    def close(self) -> None:
        """Leave the store so that the next start is quick."""
        self.seal()
        self.freeze()
        self.save_index(at_least=10_000)

    @contextmanager
    def _transaction(self) -> Iterator[Totals]:
        """Commit what the block writes and the totals it leaves, or take all back."""
        totals = msgspec.structs.replace(self.totals)
        self._shards.begin()
        with store_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield totals
                write_totals(self._connection, totals, self._commits + 1)
                self._connection.execute("COMMIT")
            except BaseException:
                self._shards.undo()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self.totals = totals
        self._commits += 1
        self._database.acknowledge(self._commits)

    def _commit(
        self, stage: Callable[[Group], None], device: int, now_ms: int
    ) -> Group:
        """Write one group and let readers see it; return it."""
        if self.totals.journal_bytes > journal.MAX_BYTES:
            self.freeze()
        group = Group(
            self._connection,
            self.index,
            self._keys,
            self._identity.device,
            self._identity.client_id,
            frozenset({self._identity.client_id}),
            now_ms,
        )
        unsealed, schedule = self._unsealed, copy(self._schedule)
        try:
            with self._transaction() as totals:
                stage(group)
                changes = self._write(group, device, totals)
                if changes and device == OWN_DEVICE:
                    schedule.add(len(changes), self._monotonic_ms())
                    unsealed = self._seal_if_due(
                        [*unsealed, *changes], schedule, totals
                    )
        except BaseException:
            group.undo()
            raise
        self._unsealed, self._schedule = unsealed, schedule
        group.show()
        self.index.fold()
        return group

    def _told(
        self, group: Group, outcomes: Sequence[Outcome | RefusedError]
    ) -> Committed:
        first = self.totals.events - len(group.events) + 1
        bodies = [each for each in group.changes if isinstance(each, BodyChange)]
        return Committed(outcomes, first, group.events, bodies)

    def _write(self, group: Group, device: int, totals: Totals) -> list[Change]:
        """Write what a group staged; return the changes as the journal has them."""
        changes = group.changes
        for shard, entries in group.entries.items():
            write = self._shards.write if shard in group.known else self._shards.create
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

    def _seal_if_due(
        self, unsealed: list[Change], schedule: SealingSchedule, totals: Totals
    ) -> list[Change]:
        """Seal in the transaction that makes updates durable, if it is time."""
        now = self._monotonic_ms()
        due = schedule.due_ms
        if due is None or due > now:
            return unsealed
        self._outbox.write(unsealed, totals)
        schedule.sealed(now)
        return []


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
