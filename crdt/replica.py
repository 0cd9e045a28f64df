"""One device's copy of a graph, in the hands of the one thread that owns it.

Rules of this file:
1. What is told to others, or shown to them, is durable; memory follows the commit.
2. Envelopes are taken from members only, in the order of their chains, and a bad one
   harms nobody but its own device.
3. `now_ms` and randomness come from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from crdt import digest
from crdt.acknowledgements import Acknowledgements
from crdt.arrival import Acceptance, Cause, Examination, Fork, Refusal
from crdt.backup import write_backup
from crdt.chain import ChainHead
from crdt.chain_store import ChainStore
from crdt.commands import Executable
from crdt.database import Connection, Database, store_errors
from crdt.devices import OWN_DEVICE
from crdt.errors import MalformedError, RefusedError
from crdt.events import Event
from crdt.execution import Outcome, execute
from crdt.graph_index import GraphIndex
from crdt.graph_writer import SAVE_INDEX_ROWS, GraphWriter
from crdt.holding import Holding
from crdt.identity import Identity
from crdt.ids import DeviceId, NodeKey, format_id
from crdt.known_addresses import (
    KnownAddresses,
    read_addresses,
    write_addresses,
)
from crdt.membership import Membership, RosterChange, Said
from crdt.node_changes import last_change
from crdt.payload import BodyChange
from crdt.pruning import Pruning
from crdt.reception import merge_changes
from crdt.roster import Roster
from crdt.space_keys import SpaceKeys
from crdt.staging import Group
from crdt.statements import read_statements, write_keys, write_statements
from crdt.totals import Totals
from crdt.vectors import VersionVector, missing, safe_on

Place: TypeAlias = tuple[DeviceId, int]
"""(device, sequence) of an envelope."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A durable group: what became of its commands, and what to tell whom."""

    outcomes: Sequence[Outcome | RefusedError]
    first_event: int
    events: Sequence[Event]
    """For watchers."""
    advanced: Sequence[tuple[DeviceId, int, bytes]] = ()
    """Envelopes (device, sequence, bytes) that can be given to other devices now."""
    bodies: Sequence[BodyChange] = ()
    """What became durable of bodies, from whomever it came."""
    holding: Holding | None = None
    """What is held after it."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What became of other devices' envelopes."""

    committed: Committed
    vector: VersionVector
    """What is held after it, durably."""
    refused: Sequence[Refusal]


class _UnmergeableError(MalformedError):
    """A document refused what an envelope carries."""

    def __init__(self, place: Place) -> None:
        super().__init__("An update was refused by the document it belongs to.")
        self.place = place


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

    def statements_of(self, hashes: frozenset[bytes]) -> Sequence[bytes]:
        """Return statements by their hashes, those first that others build upon."""
        accepted = [each for each in self.roster.statements if each.hash in hashes]
        waiting = self._membership.statements
        rest = sorted(hashes & waiting.keys() - {each.hash for each in accepted})
        return [each.encoded for each in accepted] + [
            waiting[each].encoded for each in rest
        ]

    @property
    def heads(self) -> Mapping[DeviceId, ChainHead]:
        """How far the chain of each device is held, this one's own as well."""
        totals = self.totals
        members = self.roster.members
        heads = {
            device: head
            for device, head in self._chains.heads.items()
            if device in members
        }
        own = ChainHead(totals.chain_sequence, totals.chain_hash)
        return {**heads, self.identity.device: own}

    @property
    def vector(self) -> VersionVector:
        """How many envelopes of each device are held; of this one, those sealed."""
        return {device: head.sequence for device, head in self.heads.items()}

    @property
    def holding(self) -> Holding:
        """What is held at this moment."""
        settled = b"" if self._writer.has_unsealed else self.totals.digest
        forked = frozenset(fork.device for fork in self.forks)
        floor = self._writer.node_changes.floor
        return Holding(self.vector, settled, self.roster, floor, forked)

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

    def read_addresses(self) -> KnownAddresses:
        """Return where other devices were reached or said to be."""
        with store_errors():
            return read_addresses(self._connection)

    def save_addresses(self, known: KnownAddresses) -> None:
        """Store where other devices are, instead of what was stored."""
        with self._writer.transaction():
            write_addresses(self._connection, known)

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
        refused: list[Refusal] = []
        events: list[Event] = []
        bodies: list[BodyChange] = []
        barred: dict[Place, Cause] = {}
        first = 0
        while first < len(encoded):
            examination = self._examination(barred)
            verdicts = examination.examine_some(encoded, first)
            accepted = [each for each in verdicts if isinstance(each, Acceptance)]
            try:
                events += self._take(accepted, examination.forks, now_ms)
            except _UnmergeableError as error:
                barred[error.place] = Cause.MALFORMED
                continue
            refused += [each for each in verdicts if isinstance(each, Refusal)]
            bodies += _body_changes(accepted)
            first += len(verdicts)
        committed = self._told(events, bodies=bodies)
        return Reception(committed, self.vector, refused)

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
        change = last_change(self._connection, self.index.keys.number(key))
        named = None if change is None else (self._chains.name(change[0]), change[1])
        readers = self._membership.readers
        held = {
            peer: vector
            for peer, vector in self.acknowledged.items()
            if peer in readers
        }
        return safe_on(named, self._writer.node_changes.floor, held)

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

    def save_acknowledgements(self) -> None:
        """Store what other devices said since it was last stored."""
        if self._acknowledgements.is_unsaved:
            with self._writer.transaction():
                self._acknowledgements.write()
            self._acknowledgements.is_unsaved = False

    def prune(self, now_ms: int) -> bool:
        """Drop some envelopes that every reader has; return whether more wait."""
        return self._pruning.step(self.vector, self._membership.readers, now_ms)

    def back_up(self, target: Path, now_ms: int) -> None:
        """Write a verified backup of everything into a new file.

        Raises a `StoreError` with no file left.
        """
        self._writer.seal()
        self.freeze()
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

    def _examination(self, barred: Mapping[Place, Cause]) -> Examination:
        return Examination(
            own_device=self.identity.device,
            roster=self.roster,
            keys=self.keys,
            heads=dict(self.heads),
            forked=frozenset(fork.device for fork in self.forks),
            held=self._chains.held,
            barred=barred,
        )

    def _take(
        self, accepted: Sequence[Acceptance], forks: Sequence[Fork], now_ms: int
    ) -> Sequence[Event]:
        """Make accepted envelopes and proofs durable; return what to tell watchers.

        Raises `_UnmergeableError` with nothing changed.
        """
        if not accepted and not forks:
            return ()
        is_noted = self._writer.node_changes.floor is not None

        def stage(group: Group) -> None:
            for each in accepted:
                place = each.member.device, each.head.sequence
                if is_noted:
                    group.origin = self._chains.number(place[0]), place[1]
                told = len(group.events)
                try:
                    merge_changes(group, self._writer.shards, each.changes)
                except MalformedError:
                    raise _UnmergeableError(place) from None
                group.name_origin(told, format_id(each.member.device))
            self._chains.write(accepted, forks, now_ms)

        places = [each.member.device for each in accepted]
        first = self._chains.number((*places, *(fork.device for fork in forks))[0])
        group = self._writer.commit(stage, first, now_ms)
        self._chains.accept({each.member.device: each.head for each in accepted})
        for each in accepted:
            self._writer.advance(each.member.device, each.head.sequence, each.encoded)
        return group.events

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
        """Note the heads of chains that a store holds of before it noted heads."""
        with store_errors():
            heads = self._chains.heads_of_rows()
        if heads:
            with self._writer.transaction():
                self._chains.write_heads(heads)
            self._chains.accept(heads)


def _body_changes(accepted: Iterable[Acceptance]) -> list[BodyChange]:
    changes = (change for each in accepted for change in each.changes)
    return [change for change in changes if isinstance(change, BodyChange)]
