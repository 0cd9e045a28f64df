"""Writing a checkpoint: one unchanging view of a store, in parts for another device.

It reads over a connection of its own, so it needs no turn of the owner's thread, and
what is written meanwhile does not show. Rule: the header's heads and everything behind
them are of one commit.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import apsw

from crdt import journal
from crdt.chain import ChainHead
from crdt.checkpoint_part import (
    CHECKPOINT_ID_BYTES,
    Content,
    End,
    Head,
    Header,
    PartPlace,
    Piece,
    seal_part,
)
from crdt.database import Database, store_errors
from crdt.devices import OWN_DEVICE, device_ids
from crdt.document import merge
from crdt.envelope import SALT_BYTES
from crdt.former_devices import read_former_clients
from crdt.identity import Identity
from crdt.ids import DeviceId, NodeKey
from crdt.payload import (
    BodyChange,
    Change,
    ShardChange,
    encoded_size,
    energy_change,
)
from crdt.roster import Roster
from crdt.shards import Shards, unpack
from crdt.space_keys import SpaceKeys
from crdt.totals import Totals, read_totals
from crdt.yjs_profile import BODY, SHARD, Profile
from crdt.yjs_split import split_update

PIECE_BYTES: Final = 448 * 1024
"""Of changes in one part: padded as well it stays below 512 KiB."""
_ENERGIES: Final = 4096


def write_checkpoint(
    database: Database,
    identity: Identity,
    keys: SpaceKeys,
    roster: Roster,
    randomness: Callable[[int], bytes],
) -> Generator[bytes, None, None]:
    """Yield the parts of a checkpoint of all that is committed when it begins.

    It goes quicker for a store that was just frozen. Any one thread may take the parts;
    whoever leaves early closes the iterator.
    """
    sealing = _Sealing(identity, keys, randomness)
    with store_errors(), closing(database.reader()) as connection:
        connection.execute("BEGIN")
        totals = read_totals(connection)
        shards = Shards(connection, identity.client_id)
        journal.replay(connection, totals, shards)
        header = _header(connection, identity, roster, totals, shards)
        yield sealing.part(header)
        for changes in _pieces(_changes(connection, identity, shards)):
            yield sealing.part(Piece(changes))
        yield sealing.part(End())


@dataclass(slots=True)
class _Sealing:
    """Numbers and seals parts."""

    identity: Identity
    keys: SpaceKeys
    randomness: Callable[[int], bytes]
    checkpoint: bytes = field(init=False)
    next_number: int = 0

    def __post_init__(self) -> None:
        self.checkpoint = self.randomness(CHECKPOINT_ID_BYTES)

    def part(self, content: Content) -> bytes:
        """Return the next part."""
        epoch = self.keys.present_epoch
        place = PartPlace(
            self.keys.space,
            self.identity.device,
            self.checkpoint,
            self.next_number,
            epoch.id,
        )
        self.next_number += 1
        salt = self.randomness(SALT_BYTES)
        return seal_part(place, content, epoch, self.identity.signing_key(), salt)


def _header(
    connection: apsw.Connection,
    identity: Identity,
    roster: Roster,
    totals: Totals,
    shards: Shards,
) -> Header:
    names = device_ids(connection)
    heads = {
        names[number]: ChainHead(sequence, digest)
        for number, sequence, digest in connection.execute(
            "SELECT device, sequence, hash FROM chain"
        )
    }
    heads[identity.device] = ChainHead(totals.chain_sequence, totals.chain_hash)
    return Header(
        heads=tuple(
            Head(device, head.sequence, head.hash)
            for device, head in sorted(heads.items())
            if head.sequence and device in roster.members
        ),
        nodes=totals.nodes,
        edges=totals.edges,
        shards=sum(1 for _ in shards.occupied()),
        former_clients=read_former_clients(connection),
    )


def _changes(
    connection: apsw.Connection, identity: Identity, shards: Shards
) -> Iterator[Change]:
    """Yield the whole state as changes, in an order that is the same every time."""
    for number in shards.occupied():
        for update in _small(shards.updates(number), SHARD):
            yield ShardChange(number, update)
    for key, snapshot in connection.execute(
        "SELECT node.key, body.snapshot FROM body JOIN node ON node.id = body.node"
        " ORDER BY body.node"
    ):
        for update in _small(unpack(snapshot), BODY):
            yield BodyChange(NodeKey(key), update)
    names = {**device_ids(connection), OWN_DEVICE: identity.device}
    rows = connection.execute(
        "SELECT energy.device, half_life, node.key, landmark FROM energy"
        " JOIN node ON node.id = energy.node"
        " ORDER BY energy.device, half_life, energy.node"
    )
    for (device, half_life), found in groupby(rows, key=lambda row: (row[0], row[1])):
        accumulators = [(NodeKey(key), landmark) for *_, key, landmark in found]
        yield from _energies(names[device], half_life, accumulators)


def _energies(
    device: DeviceId, half_life: int, accumulators: list[tuple[NodeKey, float]]
) -> Iterator[Change]:
    for first in range(0, len(accumulators), _ENERGIES):
        some = accumulators[first : first + _ENERGIES]
        yield energy_change(device, half_life, tuple(some))


def _small(updates: Iterable[bytes], profile: Profile) -> Iterator[bytes]:
    """Yield updates as one, or as several if that is too large for a part."""
    layers = list(updates)
    whole = layers[0] if len(layers) == 1 else merge(layers)
    yield from split_update(whole, profile, PIECE_BYTES)


def _pieces(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield changes in groups of at most `PIECE_BYTES`; a larger one stands alone."""
    group: list[Change] = []
    size = 0
    for change in changes:
        change_bytes = encoded_size(change)
        if group and size + change_bytes > PIECE_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(change)
        size += change_bytes
    if group:
        yield tuple(group)
