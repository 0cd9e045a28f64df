"""What other devices said that they hold durably.

Rule: it is a memory of what was said and can be said again: so it is written now and
then, not with each word, and a crash loses no more than the last of it.
"""

from collections.abc import Mapping

import apsw

from crdt.chain_store import ChainStore
from crdt.envelope import MAX_SEQUENCE
from crdt.ids import DeviceId
from crdt.vectors import EMPTY_VECTOR, VersionVector, joined


class Acknowledgements:
    """Version vectors of other devices, and when each was last heard of."""

    def __init__(self, connection: apsw.Connection, chains: ChainStore) -> None:
        """Read what was written."""
        self._connection = connection
        self._chains = chains
        self.is_unsaved = False
        self._vectors: dict[DeviceId, VersionVector] = {}
        for peer, device, sequence in connection.execute(
            "SELECT peer, device, sequence FROM acknowledged"
        ):
            vector = self._vectors.get(chains.name(peer), EMPTY_VECTOR)
            said = {chains.name(device): int(sequence)}
            self._vectors[chains.name(peer)] = joined(vector, said)
        self.heard_ms = {
            chains.name(peer): int(last_ms)
            for peer, last_ms in connection.execute("SELECT peer, last_ms FROM heard")
        }

    @property
    def vectors(self) -> Mapping[DeviceId, VersionVector]:
        """What each device holds, as far as it said so."""
        return dict(self._vectors)

    def note(self, peer: DeviceId, vector: VersionVector, now_ms: int) -> bool:
        """Take note of what a peer says; return whether it holds more than before.

        Who once held something holds it: a smaller number takes nothing back.
        """
        before = self._vectors.get(peer, EMPTY_VECTOR)
        said = {
            device: min(sequence, MAX_SEQUENCE)
            for device, sequence in vector.items()
            if sequence > before.get(device, 0)
        }
        self.hear(peer, now_ms)
        if said:
            self._vectors[peer] = {**before, **said}
            self.is_unsaved = True
        return bool(said)

    def hear(self, peer: DeviceId, now_ms: int) -> None:
        """Take note that a device was heard of, or became known."""
        self.heard_ms[peer] = max(now_ms, self.heard_ms.get(peer, 0))
        self.is_unsaved = True

    def write(self) -> None:
        """Store all of it, in the caller's transaction."""
        number = self._chains.number
        self._connection.executemany(
            "INSERT OR REPLACE INTO acknowledged (peer, device, sequence)"
            " VALUES (?, ?, ?)",
            [
                (number(peer), number(device), sequence)
                for peer, vector in self._vectors.items()
                for device, sequence in vector.items()
            ],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO heard (peer, last_ms) VALUES (?, ?)",
            [(number(peer), last_ms) for peer, last_ms in self.heard_ms.items()],
        )
