"""The journal: changes that are durable, but not yet in shard tails or envelopes."""

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from crdt.devices import OWN_DEVICE
from crdt.payload import Change, ShardChange
from crdt.shards import Shards
from crdt.totals import Totals

MAX_BYTES: Final = 12 * 1024 * 1024
"""What may wait to be frozen: a start after a crash reads it all."""


def append(
    connection: apsw.Connection, totals: Totals, device: int, changes: Sequence[Change]
) -> None:
    """Add the changes of one group, in its transaction."""
    # Not compressed: it is gone before compression would have paid.
    encoded = msgspec.msgpack.encode(changes)
    totals.journal += 1
    totals.journal_bytes += len(encoded)
    connection.execute(
        "INSERT INTO journal (id, device, changes) VALUES (?, ?, ?)",
        (totals.journal, device, encoded),
    )


def trim(connection: apsw.Connection, totals: Totals) -> None:
    """Drop what is frozen and, if it is this device's own, sealed."""
    connection.execute(
        "DELETE FROM journal WHERE id <= ?1 AND (id <= ?2 OR device != ?3)",
        (totals.frozen_through, totals.sealed_through, OWN_DEVICE),
    )


def replay(connection: apsw.Connection, totals: Totals, shards: Shards) -> list[Change]:
    """Give shards what is not frozen; return this device's changes not yet sealed."""
    unsealed: list[Change] = []
    for number, device, encoded in connection.execute(
        "SELECT id, device, changes FROM journal ORDER BY id"
    ):
        changes = msgspec.msgpack.decode(encoded, type=list[Change])
        if number > totals.frozen_through:
            for change in changes:
                if isinstance(change, ShardChange):
                    shards.replay(change.shard, change.update)
        if number > totals.sealed_through and device == OWN_DEVICE:
            unsealed += changes
    return unsealed
