"""The envelopes of this device: sealed in the transaction that makes them durable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw

from crdt import journal
from crdt.chain import ChainHead, next_header
from crdt.devices import OWN_DEVICE
from crdt.envelope import SALT_BYTES, envelope_hash, seal
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.payload import Change
from crdt.sealing import split
from crdt.space_keys import SpaceKeys
from crdt.totals import Totals


@dataclass(frozen=True, slots=True)
class Outbox:
    """Continues the chain of a device's envelopes in one space."""

    connection: apsw.Connection
    identity: Identity
    keys: SpaceKeys
    randomness: Callable[[int], bytes]

    def write(
        self, changes: Sequence[Change], totals: Totals
    ) -> list[tuple[DeviceId, int, bytes]]:
        """Add envelopes that hold all that the journal holds unsealed; return them.

        `changes` are all of this device's that no envelope has yet.
        """
        written: list[tuple[DeviceId, int, bytes]] = []
        head = ChainHead(totals.chain_sequence, totals.chain_hash)
        device, epoch = self.identity.device, self.keys.present_epoch
        for group in split(changes):
            header = next_header(head, self.keys.space, device, epoch.id)
            salt = self.randomness(SALT_BYTES)
            sealed = seal(header, group, epoch, self.identity.signing_key(), salt)
            head = ChainHead(header.sequence, envelope_hash(sealed))
            self.connection.execute(
                "INSERT INTO envelope (device, sequence, bytes) VALUES (?, ?, ?)",
                (OWN_DEVICE, head.sequence, sealed),
            )
            written.append((device, head.sequence, sealed))
        totals.chain_sequence, totals.chain_hash = head.sequence, head.hash
        totals.sealed_through = totals.journal
        journal.trim(self.connection, totals)
        return written
