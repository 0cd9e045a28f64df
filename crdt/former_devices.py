"""Devices from before there was a roster: what they wrote stays, their envelopes go.

A store that was restored from a backup of that time holds envelopes that nobody can
check any more. What they carried is in the shards, and goes to others by checkpoint.
"""

import apsw
import msgspec

from crdt.devices import OWN_DEVICE
from crdt.graph_writer import GraphWriter
from crdt.identity import Identity
from crdt.payload import EnergyChange

_NAME = "former clients"


def read_former_clients(connection: apsw.Connection) -> tuple[int, ...]:
    """Return the Yjs client ids of such devices."""
    row = connection.execute(
        "SELECT value FROM setting WHERE name = ?", (_NAME,)
    ).fetchone()
    return () if row is None else msgspec.msgpack.decode(row[0], type=tuple[int, ...])


def adopt(connection: apsw.Connection, identity: Identity, writer: GraphWriter) -> None:
    """Note who wrote in the store, and let its chain begin behind a checkpoint.

    The first envelope of this device goes, so that whoever holds nothing is given all.
    """
    shards = writer.shards
    clients = {
        client
        for number in shards.occupied()
        for client in shards.thaw(number).clocks()
    }
    writer.seal()
    if not writer.totals.chain_sequence:
        writer.seal_change(EnergyChange(identity.device, ()))
    with writer.transaction():
        connection.execute(
            "DELETE FROM envelope WHERE device != ? OR sequence = 1", (OWN_DEVICE,)
        )
        connection.execute("DELETE FROM chain")
        connection.execute(
            "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
            (_NAME, msgspec.msgpack.encode(sorted(clients - {identity.client_id}))),
        )
