"""What a group of commands changes, held back until it is written as one.

Rules of this file:
1. A command that is refused has staged nothing: callers check first, stage then.
2. Later commands of the group see what earlier ones staged; readers of the graph do
   not, before `show` after the commit.
3. Numbers taken from the index are given back by `undo` if the commit fails.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeAlias

import apsw
import msgspec

from crdt import digest, energy
from crdt.adjacency import PRESENT
from crdt.bodies import Bodies, body_hash
from crdt.early_changes import (
    EarlyEdges,
    edge_over_early,
    node_over_early,
    under_prefix,
)
from crdt.events import Event, named
from crdt.graph_index import GHOST, VISIBLE, GraphIndex
from crdt.ids import DeviceId, NodeKey, ShardNumber, shard_of
from crdt.payload import Change, energy_change
from crdt.read_model import node_state, read_edge, read_node
from crdt.records import Edge, Node
from crdt.schema import (
    SEPARATOR,
    Entries,
    edge_changes,
    edge_prefix,
    edge_restamp,
    new_edge_value,
    new_node_entry,
    node_changes,
    node_prefix,
    node_restamp,
)
from crdt.shard_content import AllEntries
from crdt.shards import EntryKey
from crdt.space_keys import SpaceKeys
from crdt.staged_energy import StagedEnergy
from crdt.staged_rows import StagedRows
from crdt.streams import record_point
from crdt.totals import Tally
from crdt.yjs_profile import EDGES, NODES

Origin: TypeAlias = tuple[int, int]
"""(local number of a device, sequence of its envelope); of this device, number 0, the
sequence is 0 until the envelope is sealed."""


@dataclass(slots=True, eq=False)
class Group:
    """The staged outcome of some commands."""

    connection: apsw.Connection
    index: GraphIndex
    keys: SpaceKeys
    device: DeviceId
    client_id: int
    device_clients: AbstractSet[int]
    """Client ids of the space's devices, this one's among them."""
    bodies: Bodies
    now_ms: int
    tally: Tally = field(default_factory=Tally)
    events: list[Event] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Changes that are no shard entries: bodies and energy."""
    entries: defaultdict[ShardNumber, dict[EntryKey, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    known: set[ShardNumber] = field(default_factory=set)
    """Shards that must be thawed: an entry may stand there already."""
    rows: StagedRows = field(default_factory=StagedRows)
    early: EarlyEdges = field(kw_only=True)
    held_entries: Callable[[ShardNumber], AllEntries] = field(kw_only=True)
    """Returns all that a shard holds."""
    origin: Origin | None = None
    """The envelope that is being staged, if anybody needs to know."""
    origins: dict[int, Origin] = field(default_factory=dict)
    """By which envelope nodes changed last."""
    _has_bodies: bool | None = None
    """Whether any node had a body before."""
    energy: StagedEnergy = field(init=False)

    def __post_init__(self) -> None:
        self.energy = StagedEnergy(
            self.connection, self.index, self.rows, self.device, self.now_ms
        )

    def name_origin(self, first: int, origin: str) -> None:
        """Say of the events from number `first` on which device made the changes."""
        self.events[first:] = [named(event, origin) for event in self.events[first:]]

    def node(self, number: int) -> Node | None:
        """Return a node as the group leaves it, or None for 0 and for a ghost."""
        if number in self.rows.nodes:
            return self.rows.nodes[number]
        is_ghost = self.index.states[number] == GHOST
        return None if is_ghost else read_node(self.connection, number)

    def has_body(self, number: int) -> bool:
        """Whether a node has a text, as the group leaves it."""
        if number in self.rows.bodies:
            return bool(self.rows.bodies[number])
        if self._has_bodies is None:
            query = "SELECT EXISTS (SELECT 1 FROM body)"
            self._has_bodies = self.connection.execute(query).fetchall() == [(1,)]
        return self._has_bodies and bool(body_hash(self.connection, number))

    def is_visible(self, number: int) -> bool:
        """Whether a node shows, as the group leaves it."""
        if number in self.rows.nodes:
            return node_state(self.rows.nodes[number]) == VISIBLE
        return self.index.states[number] == VISIBLE

    def edge(self, number: int) -> Edge | None:
        """Return an edge as the group leaves it, or None for 0."""
        if number in self.rows.edges:
            return self.rows.edges[number]
        return read_edge(self.connection, self.index, number) if number else None

    def mention(self, key: NodeKey) -> int:
        """Return the number of a key, as a new ghost if nobody knows it."""
        number = self.index.keys.number(key)
        if number == 0:
            number = self.index.add_node(key)
            self.rows.nodes[number] = None
            self.rows.new_nodes.append(number)
        return number

    def create_node(self, node: Node) -> int:
        """Stage a node that no device is known to have created; return its number."""
        number = self.index.keys.number(node.key)
        shard = self._shard(node.key)
        prefix = node_prefix(node.key)
        entries = dict((new_node_entry(node, self.client_id),))
        if node.updated_ms != node.created_ms or node.version != 1:
            entries |= node_restamp(node)
        if number:
            # A ghost: what others wrote of it may be there already.
            self.known.add(shard)
            held = self._held(shard, NODES, prefix)
            if held:
                node, entries = node_over_early(node, held, entries)
            node = msgspec.structs.replace(node, has_body=self.has_body(number))
        else:
            number = self.mention(node.key)
        staged = self.entries[shard]
        for suffix, value in entries.items():
            staged[NODES, prefix + suffix] = value
        self.set_node(number, None, node)
        return number

    def change_node(self, number: int, before: Node, after: Node) -> None:
        """Stage a change of a node and the entries that say so."""
        self.write_entries(after.key, node_changes(before, after))
        self.set_node(number, before, after)

    def write_entries(self, key: NodeKey, entries: Entries) -> None:
        """Stage entries of a node that its shard may hold already."""
        shard = self._shard(key)
        self.known.add(shard)
        staged = self.entries[shard]
        for suffix, value in entries.items():
            staged[NODES, node_prefix(key) + suffix] = value

    def set_node(self, number: int, before: Node | None, after: Node) -> None:
        """Stage what the read model shows of a node, with digest, counts and event."""
        was_visible = before is not None and before.deleted_ms is None
        is_visible = after.deleted_ms is None
        if before is None or before.label != after.label or was_visible != is_visible:
            self.rows.texts.add(number)
        is_new = self.rows.nodes.get(number, after) is None
        self.rows.nodes[number] = after
        self._note_change(number)
        self.energy.show(number, before, after, is_new=is_new)
        self._count_node(number, before, after)
        kind = "node.changed" if is_visible else "node.deleted"
        self.events.append(Event(kind, after.key))

    def unmake_node(self, number: int, before: Node) -> None:
        """Stage that of a node nothing but the key is left: a ghost again."""
        self.rows.nodes[number] = None
        self._note_change(number)
        self.energy.forget(number, before)
        self.rows.texts.add(number)
        self._count_node(number, before, None)
        self.events.append(Event("node.deleted", before.key))

    def create_edge(self, edge: Edge, ends: tuple[int, int]) -> int:
        """Stage an edge that no device is known to have created; return its number.

        `ends` are its two nodes, by number.
        """
        shard = self._shard(edge.source)
        prefix = edge_prefix(edge.source, edge.id)
        entries = {"": new_edge_value(edge)}
        if edge.version != 1:
            entries |= edge_restamp(edge)
        if edge.id in self.early:
            self.known.add(shard)
            held = self._held(shard, EDGES, prefix + SEPARATOR)
            edge, entries = edge_over_early(edge, held, entries, self.now_ms)
        staged = self.entries[shard]
        for suffix, value in entries.items():
            staged[EDGES, f"{prefix}{SEPARATOR}{suffix}" if suffix else prefix] = value
        return self.add_edge(edge, ends)

    def add_edge(self, edge: Edge, ends: tuple[int, int]) -> int:
        """Stage a new row for an edge between two nodes, by number; return its own."""
        edge_type = self.index.edge_type_number(edge.type)
        if edge_type is None:
            edge_type = self.index.add_edge_type(edge.type)
            self.rows.new_types.append((edge_type, edge.type))
        number = self.index.edges.add(*ends, edge_type)
        self.rows.new_edges.append(number)
        self.early.discard(edge.id)
        self.set_edge(number, None, edge)
        return number

    def change_edge(self, number: int, before: Edge, after: Edge) -> None:
        """Stage a change of an edge and the entries that say so."""
        if before.is_deleted:
            # Whoever may write may have taken away its base too.
            prefix = edge_prefix(after.source, after.id)
            shard = self._shard(after.source)
            self.entries[shard][EDGES, prefix] = new_edge_value(after)
        changes = edge_changes(before, after, self.now_ms)
        self._write_edge_entries(after, changes)
        self.set_edge(number, before, after)

    def set_edge(self, number: int, before: Edge | None, after: Edge) -> None:
        """Stage what the read model shows of an edge."""
        self.rows.edges[number] = after
        self.rows.changed_edges.add(number)
        ends = self.index.edges.sources[number], self.index.edges.targets[number]
        if self.is_visible(ends[0]) and self.is_visible(ends[1]):
            if before is not None and not before.is_deleted:
                self._count_edge(before, -1)
            if not after.is_deleted:
                self._count_edge(after, 1)
        self.events.append(
            Event(
                "edge.deleted" if after.is_deleted else "edge.changed",
                after.id,
                after.source,
                after.target,
                after.type,
            )
        )

    def set_body(self, number: int, text: str, hashes: tuple[bytes, bytes]) -> None:
        """Stage a body's text; `hashes` are SHA-256 before and after, empty if none."""
        self.rows.bodies[number] = text
        self.rows.texts.add(number)
        node = self.rows.nodes.get(number) or self.node(number)
        if node is None:
            return
        if node.deleted_ms is None:
            before, after = (
                digest.body_element(self.keys.digest_key, node.key, value)
                if value
                else 0
                for value in hashes
            )
            self.tally.removed += before
            self.tally.added += after
            self.events.append(Event("node.changed", node.key))
        self.rows.nodes[number] = msgspec.structs.replace(node, has_body=bool(text))
        self._note_change(number)

    def pulse(self, number: int, node: Node, amount: float) -> None:
        """Stage energy that this device's person gives to a node."""
        half_life, landmark = self.energy.pulse(number, node, amount)
        spent = ((node.key, landmark),)
        self.changes.append(energy_change(self.device, half_life, spent))
        atp = energy.atp_of(self.rows.landmarks[number], self.now_ms)
        record_point(self.connection, number, self.now_ms, atp, "pulse")
        self.events.append(Event("pulse", node.key))

    def merge_energy(
        self, number: int, device: DeviceId, half_life: int, landmark: float
    ) -> None:
        """Stage an accumulator from elsewhere, if it says more than is known."""
        node = self.node(number)
        if self.energy.merge(number, node, device, half_life, landmark):
            spent = ((self.index.keys.key(number), landmark),)
            self.changes.append(energy_change(device, half_life, spent))

    def write_rows(self) -> None:
        """Write the staged rows of the read model, in the caller's transaction."""
        self.energy.settle()
        self.rows.write(self.connection, self.index, self.client_id)

    def show(self) -> None:
        """Let readers of the index see what the group changed; it is durable now."""
        self.rows.show(self.index)

    def undo(self) -> None:
        """Give back the numbers that the group took."""
        index = self.index
        index.truncate(
            len(index.keys) - len(self.rows.new_nodes),
            len(index.edges) - len(self.rows.new_edges),
            len(index.edge_types) - 1 - len(self.rows.new_types),
        )

    def _note_change(self, number: int) -> None:
        self.rows.changed_nodes.add(number)
        if self.origin is not None:
            self.origins[number] = self.origin

    def _held(self, shard: ShardNumber, name: str, prefix: str) -> Entries:
        """Return the entries under a prefix: those of a document, then staged ones."""
        staged = self.entries[shard].items()
        here = {key: value for (where, key), value in staged if where == name}
        return under_prefix({**self.held_entries(shard)[name], **here}, prefix)

    def _write_edge_entries(self, edge: Edge, entries: Entries) -> None:
        """Stage entries of an edge that its shard may hold already."""
        shard = self._shard(edge.source)
        self.known.add(shard)
        prefix = edge_prefix(edge.source, edge.id)
        for suffix, value in entries.items():
            self.entries[shard][EDGES, f"{prefix}\x1f{suffix}"] = value

    def _shard(self, key: NodeKey) -> ShardNumber:
        return shard_of(self.keys.shard_secret, key)

    def _count_node(self, number: int, before: Node | None, after: Node | None) -> None:
        hidden = before if before is not None and before.deleted_ms is None else None
        shown = after if after is not None and after.deleted_ms is None else None
        if hidden is not None:
            self.tally.removed += digest.node_element(self.keys.digest_key, hidden)
            if shown is None:
                self._turn(number, hidden, -1)
        if shown is not None:
            self.tally.added += digest.node_element(self.keys.digest_key, shown)
            if hidden is None:
                self._turn(number, shown, 1)

    def _count_edge(self, edge: Edge, sign: int) -> None:
        element = digest.edge_element(self.keys.digest_key, edge)
        if sign > 0:
            self.tally.added += element
        else:
            self.tally.removed += element
        self.tally.edges += sign

    def _turn(self, number: int, node: Node, sign: int) -> None:
        """Count a node that appears or disappears, with its body and its edges."""
        self.tally.nodes += sign
        if node.has_body:
            element = self._body_element(number, node)
            if sign > 0:
                self.tally.added += element
            else:
                self.tally.removed += element
        edges = self.index.edges
        for edge_number in {*edges.outgoing(number), *edges.incoming(number)}:
            ends = edges.sources[edge_number], edges.targets[edge_number]
            other = ends[1] if ends[0] == number else ends[0]
            if other != number and not self.is_visible(other):
                continue
            edge = self.rows.edges.get(edge_number)
            if edge is None and edges.states[edge_number] == PRESENT:
                edge = read_edge(self.connection, self.index, edge_number)
            if edge is not None and not edge.is_deleted:
                self._count_edge(edge, sign)

    def _body_element(self, number: int, node: Node) -> int:
        text_hash = body_hash(self.connection, number)
        if number in self.rows.bodies:
            text_hash = hashlib.sha256(self.rows.bodies[number].encode()).digest()
        return digest.body_element(self.keys.digest_key, node.key, text_hash)
