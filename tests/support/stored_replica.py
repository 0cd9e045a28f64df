"""Real replicas, on stores in memory, for simulated devices."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from crdt.arrival import Cause
from crdt.checkpoint import write_checkpoint
from crdt.commands import PutNode
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import DeviceId
from tests.support.replicas import START_MS, Device, dice
from tests.support.sim_replica import New
from transport.frames import Refusal
from transport.sync_actions import Holdings, RosterState, Standing

KEYS: Final = 12
"""All devices write the same few nodes, so that they get in each other's way."""


class StoredReplica:
    """A replica that a simulated device crashes and opens again."""

    def __init__(self, folder: Path, number: int) -> None:
        """Open the store of device `number`."""
        self._device = Device(folder / str(number), number)
        self._stack = ExitStack()
        self._writes = 0
        self._open()

    @property
    def me(self) -> DeviceId:
        return self._device.identity.device

    @property
    def vector(self) -> Mapping[DeviceId, int]:
        return self._device.replica.vector

    @property
    def shown(self) -> object:
        return self._device.replica.digest

    @property
    def statements(self) -> Mapping[bytes, bytes]:
        roster = self._device.replica.roster
        return {each.hash: each.encoded for each in roster.statements}

    @property
    def acknowledged(self) -> Mapping[DeviceId, Mapping[DeviceId, int]]:
        return self._device.replica.acknowledged

    def holdings(self) -> Holdings:
        holding = self._device.replica.holding
        return Holdings(holding.vector, holding.digest or None)

    def roster(self, peer: DeviceId) -> RosterState:
        roster = self._device.replica.roster
        return RosterState(
            roster.fingerprint,
            tuple(each.hash for each in roster.statements),
            self.standing(peer),
            self.standing(self.me),
        )

    def standing(self, device: DeviceId) -> Standing:
        member = self._device.replica.roster.member(device)
        if member is None:
            return Standing.STRANGER
        return Standing.REMOVED if member.is_removed else Standing.MEMBER

    def cuts(self) -> Mapping[DeviceId, int]:
        return {}

    def write(self, content: bytes) -> list[New]:
        self._writes += 1
        seed = f"{self.me.hex()} {self._device.starts} {self._writes}".encode()
        rolled = hashlib.sha256(seed).digest()
        label = rolled.hex() * (1 + min(len(content), 20_000) // 64)
        command = PutNode(f"node {rolled[0] % KEYS}", label[:2000])
        committed = self._device.replica.apply([command], START_MS)
        return [*committed.advanced, *self._device.replica.seal().advanced]

    def receive(
        self, encoded: Sequence[bytes]
    ) -> tuple[list[New], list[tuple[DeviceId, int, Refusal]]]:
        reception = self._device.replica.receive_envelopes(encoded, START_MS)
        refused: dict[DeviceId, tuple[DeviceId, int, Refusal]] = {}
        for each in reception.refused:
            if each.cause is not Cause.DUPLICATE:
                assert each.device is not None
                refusal = Refusal[each.cause.name]
                refused.setdefault(each.device, (each.device, each.sequence, refusal))
        return list(reception.committed.advanced), list(refused.values())

    def receive_statements(self, encoded: Sequence[bytes]) -> None:
        self._device.replica.receive_statements(encoded, START_MS)

    def state(self, kind: str, device: DeviceId, cut: int = 0) -> None:
        raise NotImplementedError

    def after(self, device: DeviceId, sequence: int, max_bytes: int) -> list[bytes]:
        return self._reader.after(device, sequence, max_bytes)

    def note(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        known = {**self.acknowledged.get(peer, {}), **vector}
        self._device.replica.note_acknowledged(peer, known, START_MS)

    def prune(self) -> None:
        """Drop what every other device has."""
        while self._device.replica.prune(START_MS):
            pass

    def checkpoint(self) -> list[bytes]:
        device = self._device
        device.replica.freeze()
        return list(
            write_checkpoint(
                device.database,
                device.identity,
                device.replica.keys,
                device.replica.roster,
                dice(f"checkpoint {device.number} {device.starts} {self._writes}"),
            )
        )

    def install(self, index: int, total: int, part: bytes) -> None:
        reception = self._device.replica.install_checkpoint_part(part, START_MS)
        assert reception.cause in {None, Cause.DUPLICATE}

    def crash(self) -> None:
        self._stack.close()
        self._open()

    def close(self) -> None:
        """Let go of the store."""
        self._stack.close()

    def _open(self) -> None:
        self._stack.enter_context(self._device.running(clean=False))
        reader = EnvelopeReader(self._device.database, self.me)
        self._reader = self._stack.enter_context(reader)
