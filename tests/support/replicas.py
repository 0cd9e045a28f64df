"""Replicas whose identity, keys, clock and dice are the same in every run."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from crdt.arrival import Cause
from crdt.bodies import load_body
from crdt.chain import EMPTY_CHAIN, next_header
from crdt.database import Database, store_errors
from crdt.devices import OWN_DEVICE, device_ids
from crdt.digest import format_digest
from crdt.energy import Landmarks
from crdt.envelope import SALT_BYTES, Envelope, decode, open_payload, seal, verify
from crdt.graph_index import GHOST, VISIBLE
from crdt.identity import Identity, new_identity
from crdt.payload import Change
from crdt.read_model import EDGE_COLUMNS, NODE_COLUMNS, to_edge, to_node
from crdt.records import Edge, Node
from crdt.replica import Replica
from crdt.roster import Roster
from crdt.roster_writing import enrol, found
from crdt.space_keys import SpaceKeys, new_space_keys
from crdt.statement import Statement, decode_statement
from crdt.statements import read_statements, write_statements
from crdt.totals import read_totals

STORE_KEY: Final = bytes(range(32))
SPACE_KEYS: Final[SpaceKeys] = new_space_keys(b"\x07" * 32)
START_MS: Final = 1_800_000_000_000
_IN_MEMORY: Final = Path("/dev/shm")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that goes afterwards, where flushing to disk costs nothing."""
    where = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


@cache
def identity(number: int) -> Identity:
    """Return device `number` of one and the same person."""
    randomness = hashlib.shake_256(b"device %d" % number).digest(68)
    return new_identity(b"\x01" * 32, randomness, "Ada", f"device {number}")


def dice(seed: str) -> Callable[[int], bytes]:
    """Return a source of bytes that are the same for the same seed."""
    rolled = 0

    def roll(count: int) -> bytes:
        nonlocal rolled
        rolled += 1
        return hashlib.shake_256(f"{seed} {rolled}".encode()).digest(count)

    return roll


TEAM: Final = 8
"""How many devices, from number 0 on, know each other from the start."""


@cache
def team(members: tuple[Identity, ...]) -> tuple[Statement, ...]:
    """Return statements by which the first device founds a roster, the others enrol."""
    statements = [decode_statement(found(members[0], SPACE_KEYS))]
    for member in members[1:]:
        roster = Roster.of(SPACE_KEYS.space, member.person_public_key, statements)
        statements.append(decode_statement(enrol(roster, member)))
    return tuple(statements)


@dataclass
class Device:
    """A device with a home and clocks that stand until somebody moves them."""

    home: Path
    number: int = 0
    now_ms: int = START_MS
    monotonic_ms: int = 0
    starts: int = 0
    members: tuple[Identity, ...] | None = None
    """Who knows each other from the start, if not the team."""
    keys: SpaceKeys = SPACE_KEYS
    own_identity: Identity | None = None
    replica: Replica = field(init=False)
    database: Database = field(init=False)

    @property
    def identity(self) -> Identity:
        """Who the device is."""
        return self.own_identity or identity(self.number)

    @contextmanager
    def running(self, *, clean: bool = True) -> Iterator[Replica]:
        """Open the replica; `clean` closes it, else it just stops, as if killed."""
        self.starts += 1
        self.home.mkdir(exist_ok=True)
        with Database(self.home, STORE_KEY) as database:
            self.database = database
            members = self._members()
            with store_errors():
                is_new = self.starts == 1 and not read_statements(database.writer)
                if is_new and members:
                    with database.writer as connection:
                        write_statements(connection, team(members))
            self.replica = Replica(
                database,
                self.identity,
                self.keys,
                randomness=dice(f"{self.number} {self.starts}"),
                monotonic_ms=lambda: self.monotonic_ms,
            )
            yield self.replica
            if clean:
                self.replica.close()

    def _members(self) -> tuple[Identity, ...]:
        return (
            tuple(map(identity, range(TEAM))) if self.members is None else self.members
        )

    def envelopes(self) -> list[Envelope]:
        """Return the envelopes that this device made, in order."""
        rows = self.database.writer.execute(
            "SELECT bytes FROM envelope WHERE device = ? ORDER BY sequence",
            (OWN_DEVICE,),
        )
        return [decode(encoded) for (encoded,) in rows]


def opened(envelope: Envelope, author: Identity) -> tuple[Change, ...]:
    """Return what an envelope of `author` carries, verified."""
    verify(envelope, author.public_key)
    epoch = SPACE_KEYS.epoch(envelope.header.epoch_key_id)
    assert epoch is not None
    return open_payload(envelope, epoch)


def first_envelope(number: int, *changes: Change) -> bytes:
    """Return the first envelope of a device, whatever it carries."""
    author, epoch = identity(number), SPACE_KEYS.present_epoch
    header = next_header(EMPTY_CHAIN, SPACE_KEYS.space, author.device, epoch.id)
    return seal(header, changes, epoch, author.signing_key(), bytes(SALT_BYTES))


def deliver(envelope: Envelope, receiver: Device) -> None:
    """Give an envelope to another device's replica, which takes or has it."""
    received = receiver.replica.receive_envelopes([envelope.encoded], receiver.now_ms)
    assert {each.cause for each in received.refused} <= {Cause.DUPLICATE}


@dataclass(frozen=True)
class Content:
    """All that a replica holds, by names that mean the same on every device."""

    nodes: dict[str, tuple[bytes, str]]
    """Every node that some device created, and its body."""
    edges: dict[tuple[str, str, str], bytes]
    """Every edge that is not removed, by (source, type, target)."""
    energy: dict[tuple[str, bytes, int], float]
    """Landmark by (node key, device id)."""
    words: Counter[tuple[str, str, str]]
    """What text search finds: (node key, column, word), and how often."""
    counts: tuple[int, int]
    digest: str


def content(device: Device) -> Content:
    """Read everything from the database of a running device."""
    rows = device.database.writer.execute
    keys = dict(rows("SELECT id, key FROM node"))
    devices = {
        **device_ids(device.database.writer),
        OWN_DEVICE: device.identity.device,
    }
    rows(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.word USING"
        " fts5vocab(main, node_text, instance)"
    )
    totals = read_totals(device.database.writer)
    nodes = {
        number: to_node(columns)
        for number, *columns in rows(
            f"SELECT id, {NODE_COLUMNS} FROM node WHERE state > 0"
        )
    }
    edges = [
        to_edge(columns, device.replica.index)
        for columns in rows(f"SELECT {EDGE_COLUMNS} FROM edge WHERE state = 1")
    ]
    return Content(
        nodes={
            node.key: (
                _exactly(node),
                load_body(device.database.writer, number, 1).text(),
            )
            for number, node in nodes.items()
        },
        edges={(edge.source, edge.type, edge.target): _exactly(edge) for edge in edges},
        energy={
            (keys[node], devices[owner], half_life): landmark
            for node, owner, half_life, landmark in rows(
                "SELECT node, device, half_life, landmark FROM energy"
            )
        },
        words=Counter(
            (keys[number], column, word)
            for word, number, column in rows("SELECT term, doc, col FROM temp.word")
        ),
        counts=(totals.nodes, totals.edges),
        digest=format_digest(int.from_bytes(totals.digest)),
    )


@dataclass(frozen=True)
class Living:
    """What the graph index of a replica shows to readers."""

    states: dict[str, int]
    landmarks: dict[str, Landmarks]
    """Of nodes that some device created."""
    links: set[tuple[str, str, str]]
    """(source, type, target) of edges between visible nodes."""


def living(replica: Replica) -> Living:
    """Read everything from the graph index of a replica."""
    index = replica.index
    keys = {number: index.keys.key(number) for number in range(1, len(index.keys) + 1)}
    return Living(
        states={key: index.states[number] for number, key in keys.items()},
        landmarks={
            key: index.landmarks_of(number)
            for number, key in keys.items()
            if index.states[number] != GHOST
        },
        links={
            (key, index.edge_types[index.edges.types[edge]], keys[other])
            for number, key in keys.items()
            if index.states[number] == VISIBLE
            for edge, other in index.links(number, incoming=False)
        },
    )


def _exactly(record: Node | Edge) -> bytes:
    """Tell 1 from 1.0 and true, but not one order of metadata from another."""
    return msgspec.json.encode(record, order="deterministic")
