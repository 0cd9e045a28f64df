"""How the store in a backup becomes that of a new device.

Rule: nothing that the former device wrote is written on. Its chain of envelopes and
its energies stay under its own name, and the new device begins at zero with a client
id of its own: two devices that go on under one name diverge without a sign.
"""

from pathlib import Path

from crdt import stream_archive
from crdt.backup import BackupRecord, read_record
from crdt.chain import EMPTY_CHAIN
from crdt.database import (
    DATABASE_NAME,
    Connection,
    Database,
    commit_number,
    store_errors,
    write_copy,
    write_key_check,
)
from crdt.devices import OWN_DEVICE, device_number
from crdt.identity import Identity, encode_identity
from crdt.ids import format_id
from crdt.keys import device_id
from crdt.totals import read_totals, write_totals


def succeed(backup: Connection, folder: Path, key: bytes, heir: Identity) -> None:
    """Make the store of a new device, under `key`, from an open backup.

    `folder` is empty and stays unused until this returns; what an error leaves there
    is of no use.
    """
    write_copy(backup, folder / DATABASE_NAME, key)
    write_key_check(folder, key)
    with Database(folder, key) as database:
        commit = commit_number(database.writer) + 1
        with store_errors(), database.writer:
            _hand_over(database.writer, read_record(backup), heir, commit)
            stream_archive.unpack(database.writer, folder)
        database.acknowledge(commit)


def _hand_over(
    connection: Connection, record: BackupRecord, heir: Identity, commit: int
) -> None:
    former = device_id(record.device_public_key)
    numbers = (device_number(connection, former), OWN_DEVICE)
    connection.execute("UPDATE envelope SET device = ? WHERE device = ?", numbers)
    # Others may have heard more of the former device; it is they who tell.
    chain = read_totals(connection)
    if chain.chain_sequence:
        connection.execute(
            "INSERT INTO chain (device, sequence, hash) VALUES (?, ?, ?)",
            (numbers[0], chain.chain_sequence, chain.chain_hash),
        )
    for table in ("acknowledged", "node_change"):
        connection.execute(
            f"UPDATE {table} SET device = ? WHERE device = ?",  # our names
            numbers,
        )
    # A device alone adds to its energies, so its own row is the one that is right.
    connection.execute(
        "UPDATE OR REPLACE energy SET device = ? WHERE device = ?", numbers
    )
    # All of it stands in envelopes and in the tails of shards.
    connection.execute("DELETE FROM journal")
    connection.execute("UPDATE shard SET own_clock = 0")
    # Made anew from the rows by the first start, whatever energies were above.
    connection.execute("DELETE FROM index_column; DELETE FROM index_change")
    # Tickets name the device that answers for them, which is the former one.
    connection.execute("DELETE FROM circle_invitation")
    connection.execute(
        "UPDATE setting SET name = ? WHERE name = 'backup'",
        (f"former device {format_id(former)}",),
    )
    connection.execute(
        "INSERT INTO setting (name, value) VALUES ('identity', ?)",
        (encode_identity(heir),),
    )
    totals = read_totals(connection)
    totals.chain_sequence, totals.chain_hash = EMPTY_CHAIN.sequence, EMPTY_CHAIN.hash
    write_totals(connection, totals, commit)
