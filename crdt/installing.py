"""Taking in a checkpoint, part by part, each durable and each leaving a whole graph.

Rules of this file:
1. Parts are merged, never put in place of what is there: whatever is held stays, and a
   checkpoint that broke off can be gone on with, or begun again.
2. Only the last part moves the heads of chains: until then nobody takes this device for
   one that holds all of it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import apsw
import msgspec

from crdt.arrival import Cause
from crdt.bodies import holds_body
from crdt.chain import EMPTY_CHAIN
from crdt.chain_store import ChainStore
from crdt.changes import ParsedShardChange, parse_shard
from crdt.checkpoint_gate import Gate, Installation
from crdt.checkpoint_part import Header, Part, Piece
from crdt.errors import ForgedError, PeerError
from crdt.events import Event
from crdt.graph_writer import GraphWriter
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.payload import BodyChange, EnergyChange, PacedEnergyChange, ShardChange
from crdt.reception import merge_body, merge_energies, merge_update, stage_content
from crdt.roster import Roster
from crdt.shard_content import shard_content
from crdt.shards import Shards
from crdt.staging import Group
from crdt.vectors import joined
from crdt.yjs_profile import BODY
from crdt.yjs_update import parse


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of a part."""

    cause: Cause | None
    """Why it was refused; None if it is durable."""
    events: Sequence[Event] = ()
    bodies: Sequence[BodyChange] = ()
    is_finished: bool = False
    """Whether it was the last: everything that the header names is held."""


class Installer:
    """Takes the parts of one checkpoint at a time."""

    def __init__(
        self,
        connection: apsw.Connection,
        identity: Identity,
        writer: GraphWriter,
        chains: ChainStore,
    ) -> None:
        """Go on with what the store has begun."""
        self._connection = connection
        self._identity = identity
        self._writer = writer
        self._chains = chains
        self.present = _read(connection)
        """The checkpoint that is under way."""

    def install(self, encoded: bytes, roster: Roster, now_ms: int) -> Installed:
        """Make a part durable, or say why it is refused."""
        gate = Gate(
            own_device=self._identity.device,
            own_sequence=self._writer.totals.chain_sequence,
            roster=roster,
            keys=self._writer.keys,
            present=self.present,
        )
        judged = gate.judge(encoded)
        if isinstance(judged, Cause):
            return Installed(judged)
        part, content = judged
        if isinstance(content, Header):
            self._begin(part, content)
            return Installed(None)
        if self.present is None:
            return Installed(Cause.GAP)
        if not isinstance(content, Piece):
            self._finish(self.present)
            return Installed(None, is_finished=True)
        try:
            events = self._take(self.present, content, roster, now_ms)
        except ForgedError:
            return Installed(Cause.FORGED)
        except PeerError:
            return Installed(Cause.MALFORMED)
        bodies = [each for each in content.changes if isinstance(each, BodyChange)]
        return Installed(None, events, bodies)

    def _begin(self, part: Part, header: Header) -> None:
        place = part.place
        present = Installation(place.checkpoint, place.giver, 1, header)
        changes = self._writer.node_changes
        covered = {device: head.sequence for device, head in present.heads.items()}
        floor = None if changes.floor is None else joined(changes.floor, covered)
        with self._writer.transaction():
            _write(self._connection, present)
            changes.write_floor(floor)
        self.present = present
        changes.floor = floor

    def _take(
        self, present: Installation, piece: Piece, roster: Roster, now_ms: int
    ) -> Sequence[Event]:
        shards = self._writer.shards
        clients = {member.client_id for member in roster.members.values()}
        clients |= set(present.header.former_clients)
        own_client = self._identity.client_id
        parsed = _parsed_piece(piece, clients, own_client, shards)
        following = replace(present, next_number=present.next_number + 1)

        def stage(group: Group) -> None:
            group.origin = None
            _stage_piece(group, shards, piece, parsed)
            _write(self._connection, following)

        giver = self._chains.number(present.giver)
        group = self._writer.commit(stage, giver, now_ms)
        self.present = following
        return group.events

    def _finish(self, present: Installation) -> None:
        held = self._chains.heads
        heads = {
            device: head
            for device, head in present.heads.items()
            if head.sequence > held.get(device, EMPTY_CHAIN).sequence
            and device != self._identity.device
        }
        with self._writer.transaction():
            self._chains.jump(heads)
            self._connection.execute("DELETE FROM checkpoint")
        self._chains.accept(heads)
        self.present = None


def _read(connection: apsw.Connection) -> Installation | None:
    row = connection.execute(
        "SELECT id, giver, next, header FROM checkpoint"
    ).fetchone()
    if row is None:
        return None
    header = msgspec.msgpack.decode(row[3], type=Header)
    return Installation(row[0], DeviceId(row[1]), row[2], header)


def _write(connection: apsw.Connection, present: Installation) -> None:
    connection.execute("DELETE FROM checkpoint")
    connection.execute(
        "INSERT INTO checkpoint (id, giver, next, header) VALUES (?, ?, ?, ?)",
        (
            present.checkpoint,
            present.giver,
            present.next_number,
            msgspec.msgpack.encode(present.header),
        ),
    )


def _parsed_piece(
    piece: Piece, clients: Collection[int], own_client: int, shards: Shards
) -> Sequence[ParsedShardChange]:
    """Return the shard changes of a piece parsed, after checking everything in it.

    Structs may bear `clients`; this device's own only as far as it wrote them itself.
    Raises `MalformedError` or `ForgedError`.
    """
    parsed: list[ParsedShardChange] = []
    for change in piece.changes:
        match change:
            case ShardChange():
                found = parse_shard(change, clients)
                if found.own_end(own_client) > shards.own_clock(change.shard):
                    message = "A checkpoint holds what only this device can write."
                    raise ForgedError(message)
                parsed.append(found)
            case BodyChange(update=update):
                parse(update, BODY)
            case EnergyChange() | PacedEnergyChange():
                pass
    return parsed


def _stage_piece(
    group: Group, shards: Shards, piece: Piece, parsed: Iterable[ParsedShardChange]
) -> None:
    """Stage a piece. Raises `MalformedError` if a document refuses part of it."""
    for found in parsed:
        _stage_shard(group, shards, found)
    for change in piece.changes:
        match change:
            case ShardChange():
                pass
            case BodyChange(node=key, update=update):
                number = group.index.keys.number(key)
                if not (number and holds_body(group.connection, number, update)):
                    merge_body(group, key, update)
            case EnergyChange() | PacedEnergyChange():
                merge_energies(group, change)


def _stage_shard(group: Group, shards: Shards, parsed: ParsedShardChange) -> None:
    number, update = parsed.change.shard, parsed.change.update
    if shards.is_empty(number):
        entries = shards.install(number, update, parsed.creations)
        content = shard_content(entries, number, group.keys.shard_secret)
        stage_content(group, content, content)
    elif list(shards.updates(number)) != [update]:
        merge_update(group, shards, number, update, parsed.touched)
        group.changes.append(parsed.change)
