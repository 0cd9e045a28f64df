"""One device's copy of a graph, in the hands of the one thread that owns it.

Rules of this file:
1. What is told to others, or shown to them, is durable; memory follows the commit.
2. Envelopes are taken from members only, in the order of their chains, and a bad one
   harms nobody but its own device.
3. `now_ms` and randomness come from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from crdt import digest
from crdt.acknowledgements import Acknowledgements
from crdt.arrival import Fork
from crdt.backup import write_backup
from crdt.chain import ChainHead
from crdt.chain_store import ChainStore
from crdt.checkpoint_gate import Installation
from crdt.commands import Executable
from crdt.committed import Committed, PartReception, Reception
from crdt.database import Connection, Database, store_errors
from crdt.devices import OWN_DEVICE
from crdt.errors import RefusedError
from crdt.events import Event
from crdt.execution import Outcome, execute
from crdt.former_devices import adopt
from crdt.graph_index import GraphIndex
from crdt.graph_writer import SAVE_INDEX_ROWS, GraphWriter
from crdt.holding import Holding
from crdt.identity import Identity
from crdt.ids import DeviceId, NodeKey
from crdt.installing import Installer
from crdt.intake import Intake
from crdt.membership import Membership, RosterChange, Said
from crdt.node_changes import last_change
from crdt.payload import BodyChange
from crdt.pruning import Pruning
from crdt.roster import Roster
from crdt.space_keys import SpaceKeys
from crdt.staging import Group
from crdt.statements import read_statements, write_keys, write_statements
from crdt.totals import Totals
from crdt.vectors import VersionVector, missing, safe_on

Found = TypeVar("Found")


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
        """Load what an open database holds; found a roster where there is none."""
        self._database = database
        self._connection = database.writer
        self.identity = identity
        with store_errors():
            self._membership = Membership.of(
                identity, keys, read_statements(self._connection)
            )
            self._chains = ChainStore(self._connection, identity.device)
            self._acknowledgements = Acknowledgements(self._connection, self._chains)
        self._writer = GraphWriter(
            database,
            identity,
            self._membership.keys,
            randomness=randomness,
            monotonic_ms=monotonic_ms,
        )
        self._writer.device_clients = self._membership.device_clients
        self._intake = Intake(identity.device, self._writer, self._chains)
        with store_errors():
            self._installer = Installer(
                self._connection, identity, self._writer, self._chains
            )
        self._pruning = Pruning(self._writer, self._chains, self._acknowledgements)
        self._adopt_former_chains()
        self._enter(self._membership.with_own(), None)

    @property
    def totals(self) -> Totals:
        """What is counted over all commits."""
        return self._writer.totals

    @property
    def index(self) -> GraphIndex:
        """The living graph in memory."""
        return self._writer.index

    @property
    def digest(self) -> str:
        """Text form of the digest of everything visible."""
        return digest.format_digest(int.from_bytes(self.totals.digest))

    @property
    def roster(self) -> Roster:
        """Who belongs to the space."""
        return self._membership.roster

    @property
    def keys(self) -> SpaceKeys:
        """The keys of the space that this device has."""
        return self._membership.keys

    @property
    def statements(self) -> Sequence[bytes]:
        """All statements of the roster, for others."""
        return [each.encoded for each in self._membership.statements.values()]

    def statements_of(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Return those statements of these hashes that are known, in this order."""
        held = self._membership.statements
        return [held[each].encoded for each in hashes if each in held]

    @property
    def heads(self) -> Mapping[DeviceId, ChainHead]:
        """How far the chain of each device is held, this one's own as well."""
        members = self.roster.members
        heads = {
            device: head
            for device, head in self._chains.heads.items()
            if device in members
        }
        return {**heads, self.identity.device: self._own_head}

    @property
    def vector(self) -> VersionVector:
        """How many envelopes of each device are held; of this one, those sealed."""
        return {
            device: head.sequence
            for device, head in self.heads.items()
            if head.sequence
        }

    @property
    def holding(self) -> Holding:
        """What is held at this moment."""
        settled = b"" if self._writer.has_unsealed else self.totals.digest
        forked = frozenset(fork.device for fork in self.forks)
        floor = self._writer.node_changes.floor
        epoch = self.roster.present_epoch
        lacks_key = bool(epoch) and self.keys.epoch(epoch) is None
        return Holding(self.vector, settled, self.roster, floor, forked, lacks_key)

    @property
    def forks(self) -> Sequence[Fork]:
        """Devices that signed two histories, with the proofs."""
        return self._chains.forks

    @property
    def acknowledged(self) -> Mapping[DeviceId, VersionVector]:
        """What other devices said that they hold durably."""
        return self._acknowledgements.vectors

    @property
    def heard_ms(self) -> Mapping[DeviceId, int]:
        """When other devices were last heard of."""
        return self._acknowledgements.heard_ms

    def look_aside(self, read: Callable[[Connection], Found]) -> Found:
        """Return what `read` finds in the store beside the graph."""
        with store_errors():
            return read(self._connection)

    def put_aside(self, write: Callable[[Connection], None]) -> None:
        """Make durable what `write` keeps in the store beside the graph."""
        with self._writer.transaction():
            write(self._connection)

    @property
    def seal_due_ms(self) -> int | None:
        """When `seal` should be called; None if nothing waits."""
        return self._writer.seal_due_ms

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

        group = self._writer.commit(stage, OWN_DEVICE, now_ms)
        bodies = [each for each in group.changes if isinstance(each, BodyChange)]
        return self._told(group.events, outcomes, bodies)

    def receive_envelopes(self, encoded: Sequence[bytes], now_ms: int) -> Reception:
        """Take what is acceptable of other devices' envelopes, durably.

        One transaction takes all, unless they hold more than memory should.
        """
        membership, own_head = self._membership, self._own_head
        with store_errors():
            taken = self._intake.take(encoded, membership, own_head, now_ms)
        committed = self._told(taken.events, bodies=taken.bodies)
        return Reception(committed, self.vector, taken.refused)

    def receive_statements(self, encoded: Sequence[bytes], now_ms: int) -> RosterChange:
        """Take statements of other devices, durably, and say what follows from them."""
        before = self._membership
        membership, refused = before.with_received(encoded)
        self._enter(membership.with_cuts(self._chains.heads), now_ms)
        return self._membership.change_since(before, refused)

    def state(
        self, statement: Callable[[Roster, Identity, SpaceKeys], Said], now_ms: int
    ) -> RosterChange:
        """Make a statement of this device durable.

        `statement` makes it, and the keys if it changes them. Raises what it raises,
        with nothing changed.
        """
        before = self._membership
        self._enter(before.saying(statement), now_ms)
        return self._membership.change_since(before)

    @property
    def installation(self) -> Installation | None:
        """The checkpoint that is under way, if any."""
        return self._installer.present

    def install_checkpoint_part(self, encoded: bytes, now_ms: int) -> PartReception:
        """Make the next part of a checkpoint durable, or say why it is refused."""
        with store_errors():
            installed = self._installer.install(encoded, self.roster, now_ms)
        committed = self._told(installed.events, bodies=installed.bodies)
        return PartReception(committed, installed.cause, installed.is_finished)

    def note_acknowledged(
        self, peer: DeviceId, vector: VersionVector, now_ms: int
    ) -> None:
        """Take note of what another device says that it holds durably."""
        if self.roster.member(peer) is not None:
            known = {
                device: sequence
                for device, sequence in vector.items()
                if self.roster.member(device) is not None
            }
            self._acknowledgements.note(peer, known, now_ms)

    def pending(self, peer: DeviceId) -> int:
        """Return how many envelopes held here a device lacks, as far as it said."""
        return missing(self.vector, self.acknowledged.get(peer, {}))

    def safe_on(self, key: NodeKey) -> int:
        """Return how many other devices hold a node as it is here."""
        with store_errors():
            change = last_change(self._connection, self.index.keys.number(key))
        named = None if change is None else (self._chains.name(change[0]), change[1])
        readers = self._membership.readers
        held = {
            peer: vector
            for peer, vector in self.acknowledged.items()
            if peer in readers
        }
        return safe_on(named, self._writer.node_changes.floor, held)

    def note_events(self, events: Sequence[Event]) -> Committed:
        """Number events that come from elsewhere, durably, to be told like others."""
        with self._writer.transaction() as totals:
            totals.events += len(events)
        return self._told(events)

    def derive(self, write: Callable[[Connection], Sequence[Event]]) -> Committed:
        """Let `write` change derived rows durably; it returns what to tell watchers."""
        return self._told(self._writer.derive(write))

    def seal(self) -> Committed:
        """Move everything unsealed into envelopes, durably."""
        self._writer.seal()
        return self._told(())

    def freeze(self) -> None:
        """Move fresh updates of all shards into tail rows, durably."""
        self._writer.freeze()

    def compact(self) -> bool:
        """Make snapshots of some shards with long tails; return whether more wait."""
        return self._writer.compact()

    def shrink(self) -> bool:
        """Give some free pages back to the disk; return whether more wait."""
        return self._writer.shrink()

    def save_index(self, *, at_least: int = SAVE_INDEX_ROWS) -> None:
        """Save the index if a start would have to read `at_least` rows without it."""
        self._writer.save_index(at_least=at_least)

    def forget_receipts(self, before_ms: int) -> None:
        """Drop the receipts of requests that nobody will repeat any more."""
        self._writer.forget_receipts(before_ms)

    def archive(self, now_ms: int) -> bool:
        """Move some of the old histories into a file; return whether more wait."""
        return self._writer.archive(now_ms)

    def save_acknowledgements(self) -> None:
        """Store what other devices said since it was last stored."""
        if self._acknowledgements.is_unsaved:
            with self._writer.transaction():
                self._acknowledgements.write()
            self._acknowledgements.is_unsaved = False

    def prune(self, now_ms: int) -> bool:
        """Drop some envelopes that every reader has; return whether more wait."""
        with store_errors():
            return self._pruning.step(self.vector, self._membership.readers, now_ms)

    def back_up(self, target: Path, now_ms: int) -> None:
        """Write a verified backup of everything into a new file.

        Raises a `StoreError` with no file left.
        """
        self._writer.seal()
        self.freeze()
        self.save_acknowledgements()
        write_backup(self._database, self.identity, target, now_ms)

    def close(self) -> None:
        """Leave the store so that the next start is quick."""
        self._writer.seal()
        self.freeze()
        self.save_acknowledgements()
        self.save_index(at_least=10_000)

    def _told(
        self,
        events: Sequence[Event],
        outcomes: Sequence[Outcome | RefusedError] = (),
        bodies: Sequence[BodyChange] = (),
    ) -> Committed:
        first = self.totals.events - len(events) + 1
        advanced = self._writer.take_advanced()
        return Committed(outcomes, first, events, advanced, bodies, self.holding)

    @property
    def _own_head(self) -> ChainHead:
        totals = self.totals
        return ChainHead(totals.chain_sequence, totals.chain_hash)

    def _enter(self, membership: Membership, now_ms: int | None) -> None:
        """Make a membership durable and act by it from now on."""
        before = self._membership
        has_readers = bool(membership.readers)
        floor = self._writer.node_changes.floor
        if membership is before and has_readers == (floor is not None):
            return
        if has_readers and floor is None:
            self._writer.seal()
            floor = self.vector
        new = membership.statements.keys() - before.statements.keys()
        with self._writer.transaction():
            write_statements(
                self._connection, (membership.statements[each] for each in new)
            )
            write_keys(self._connection, membership.keys)
            for device in membership.roster.members:
                self._chains.number(device)
            self._writer.node_changes.write_floor(floor if has_readers else None)
        self._chains.accept({})
        self._membership = membership
        self._writer.use_keys(membership.keys)
        self._writer.device_clients = membership.device_clients
        self._writer.node_changes.floor = floor if has_readers else None
        for device in membership.readers - before.readers:
            if now_ms is not None:
                self._acknowledgements.hear(device, now_ms)

    def _adopt_former_chains(self) -> None:
        """Note heads, or forget chains, of before the store knew other devices."""
        with store_errors():
            heads = self._chains.heads_of_rows()
        if not self._membership.statements and (heads or self._chains.heads):
            adopt(self._connection, self.identity, self._writer)
            self._chains.reload()
        elif heads:
            with self._writer.transaction():
                self._chains.write_heads(heads)
            self._chains.accept(heads)
