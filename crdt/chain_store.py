"""The chains of all devices in the store: heads, envelopes, proofs of forks.

Rule: what is written belongs to the caller's transaction; memory follows by `accept`
after the commit, and not at all if there is none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import apsw

from crdt.arrival import Acceptance, Fork
from crdt.chain import ChainHead, head_after
from crdt.devices import OWN_DEVICE, device_ids, device_number
from crdt.envelope import decode
from crdt.ids import DeviceId

_PRUNE_ROWS: Final = 256


class ChainStore:
    """What is held of other devices' chains, and rows of all envelopes."""

    def __init__(self, connection: apsw.Connection, own_device: DeviceId) -> None:
        """Read the heads; of a chain that has none yet, from its last envelope."""
        self._connection = connection
        self._own_device = own_device
        self._names: dict[int, DeviceId] = {}
        self._numbers: dict[DeviceId, int] = {}
        self.forks: Sequence[Fork] = ()
        self.heads: Mapping[DeviceId, ChainHead] = {}
        self.reload()

    def reload(self) -> None:
        """Read everything anew."""
        self.accept({})
        self.heads = {
            self._names[number]: ChainHead(sequence, digest)
            for number, sequence, digest in self._connection.execute(
                "SELECT device, sequence, hash FROM chain"
            )
        }

    def name(self, number: int) -> DeviceId:
        """Return the device with a local number."""
        return self._names[number]

    def number(self, device: DeviceId) -> int:
        """Return the local number of a device, a new one if it has none."""
        number = self._numbers.get(device)
        return device_number(self._connection, device) if number is None else number

    def held(self, device: DeviceId, sequence: int) -> bytes | None:
        """Return a stored envelope, None if it is not there."""
        row = self._connection.execute(
            "SELECT bytes FROM envelope WHERE device = ? AND sequence = ?",
            (self._numbers.get(device, -1), sequence),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def write(
        self, acceptances: Iterable[Acceptance], forks: Iterable[Fork], now_ms: int
    ) -> None:
        """Store accepted envelopes, their heads, and proofs."""
        rows = [(self.number(each.member.device), each) for each in acceptances]
        self._connection.executemany(
            "INSERT INTO envelope (device, sequence, bytes) VALUES (?, ?, ?)",
            [(number, each.head.sequence, each.encoded) for number, each in rows],
        )
        self.write_heads({each.member.device: each.head for _, each in rows})
        self._connection.executemany(
            "INSERT OR IGNORE INTO fork (device, sequence, held, other, found_ms)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (self.number(fork.device), fork.sequence, fork.held, fork.other, now_ms)
                for fork in forks
            ],
        )

    def write_heads(self, heads: Mapping[DeviceId, ChainHead]) -> None:
        """Store how far the chains of other devices are held."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO chain (device, sequence, hash) VALUES (?, ?, ?)",
            [
                (self.number(device), head.sequence, head.hash)
                for device, head in heads.items()
            ],
        )

    def jump(self, heads: Mapping[DeviceId, ChainHead]) -> None:
        """Store heads that a checkpoint covers; what lies before them can go."""
        self.write_heads(heads)
        self._connection.executemany(
            "DELETE FROM envelope WHERE device = ? AND sequence <= ?",
            [(self.number(device), head.sequence) for device, head in heads.items()],
        )

    def accept(self, heads: Mapping[DeviceId, ChainHead]) -> None:
        """Take note that what was written is durable."""
        self.heads = {**self.heads, **heads}
        self._names = {**device_ids(self._connection), OWN_DEVICE: self._own_device}
        self._numbers = {device: number for number, device in self._names.items()}
        self.forks = self._read_forks()

    def prune(self, through: Mapping[DeviceId, int]) -> bool:
        """Drop some envelopes up to these numbers; return whether more are left."""
        left = _PRUNE_ROWS
        for device, sequence in through.items():
            self._connection.execute(
                "DELETE FROM envelope WHERE device = ?1 AND sequence IN ("
                "SELECT sequence FROM envelope WHERE device = ?1 AND sequence <= ?2"
                " ORDER BY sequence LIMIT ?3)",
                (self.number(device), sequence, left),
            )
            left -= self._connection.changes()
            if left <= 0:
                return True
        return False

    def oldest(self, device: DeviceId) -> int | None:
        """Return the number of a device's first envelope that is stored."""
        row = self._connection.execute(
            "SELECT sequence FROM envelope WHERE device = ? ORDER BY sequence",
            (self.number(device),),
        ).fetchone()
        return None if row is None else int(row[0])

    def stored_bytes(self) -> int:
        """Return the size of all envelopes."""
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT coalesce(sum(length(bytes)), 0) FROM envelope"
        ).fetchall()
        return int(rows[0][0])

    def heads_of_rows(self) -> dict[DeviceId, ChainHead]:
        """Return the heads of chains that are held, but that nobody noted yet."""
        heads: dict[DeviceId, ChainHead] = {}
        for number, encoded in self._connection.execute(
            "SELECT device, bytes FROM envelope AS e WHERE device != ?1 AND sequence ="
            " (SELECT max(sequence) FROM envelope WHERE device = e.device)"
            " AND device NOT IN (SELECT device FROM chain)",
            (OWN_DEVICE,),
        ):
            heads[self._names[number]] = head_after(decode(encoded))
        return heads

    def _read_forks(self) -> list[Fork]:
        return [
            Fork(self._names[number], sequence, held, other)
            for number, sequence, held, other in self._connection.execute(
                "SELECT device, sequence, held, other FROM fork"
            )
        ]
