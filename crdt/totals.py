"""What is counted over all commits, stored with each of them."""

from dataclasses import dataclass

import apsw
import msgspec

from crdt import digest
from crdt.chain import EMPTY_CHAIN


class Totals(msgspec.Struct, array_like=True):
    """The graph as a whole, and how far its changes have come."""

    nodes: int = 0
    edges: int = 0
    digest: bytes = bytes(digest.DIGEST_BYTES)
    events: int = 0
    """Number of the last event."""
    sealed_through: int = 0
    """Journal number up to which own updates stand in envelopes."""
    frozen_through: int = 0
    """Journal number up to which updates stand in shard tails."""
    journal: int = 0
    """Number of the last journal row."""
    chain_sequence: int = 0
    chain_hash: bytes = EMPTY_CHAIN.hash
    journal_bytes: int = 0
    """Size of the journal rows that are not frozen."""


@dataclass(slots=True)
class Tally:
    """What a group changes about the graph as a whole."""

    nodes: int = 0
    edges: int = 0
    added: int = 0
    removed: int = 0
    """Sums of digest elements."""


def read_totals(connection: apsw.Connection) -> Totals:
    """Return the totals of the last commit."""
    row = connection.execute(
        "SELECT value FROM setting WHERE name = 'totals'"
    ).fetchone()
    return Totals() if row is None else msgspec.msgpack.decode(row[0], type=Totals)


def write_totals(connection: apsw.Connection, totals: Totals, commit: int) -> None:
    """Store the totals and the number of a commit, in its transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
        (("totals", msgspec.msgpack.encode(totals)), ("commits", commit)),
    )
