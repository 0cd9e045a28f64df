"""A replica in plain Python, with the rules of the real one that sessions depend on.

What is in it is durable; what it was asked to do and has not done is not.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from crdt.ids import DeviceId
from tests.support.sim_replica import New
from transport.frames import Refusal
from transport.sync_actions import Holdings, RosterState, Standing

FIRST_EPOCH: Final = b""


class ModelEnvelope(msgspec.Struct, frozen=True, array_like=True):
    """What stands for an envelope."""

    device: bytes
    sequence: int
    epoch: bytes
    """Hash of the removal that began the epoch."""
    content: bytes


class ModelStatement(msgspec.Struct, frozen=True, array_like=True):
    """What stands for a statement: a device is added, removed, or its cut extended."""

    kind: str
    device: bytes
    cut: int
    author: bytes


decode_envelope: Final = msgspec.msgpack.Decoder(ModelEnvelope).decode
decode_statement: Final = msgspec.msgpack.Decoder(ModelStatement).decode
encode: Final = msgspec.msgpack.encode


@dataclass(slots=True)
class ModelReplica:
    """Everything durable of one device."""

    me: DeviceId
    vector: dict[DeviceId, int] = field(default_factory=dict)
    envelopes: dict[DeviceId, dict[int, bytes]] = field(default_factory=dict)
    graph: set[bytes] = field(default_factory=set)
    """Hashes of all contents: what the device shows."""
    total: int = 0
    statements: dict[bytes, bytes] = field(default_factory=dict)
    acknowledged: dict[DeviceId, dict[DeviceId, int]] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    """Of a checkpoint that is coming in."""
    _read: int = 0
    _known: dict[str, dict[DeviceId, int]] = field(default_factory=dict)
    _known_epochs: set[bytes] = field(default_factory=lambda: {FIRST_EPOCH})

    @property
    def shown(self) -> object:
        """Return what is shown."""
        return self.graph

    def crash(self) -> None:
        """Lose nothing: all that is here is durable."""

    def holdings(self) -> Holdings:
        """Return what is held now."""
        digest = hashlib.sha512(self.total.to_bytes(64)).digest()
        return Holdings(dict(self.vector), digest)

    def write(self, content: bytes) -> list[New]:
        """Write an envelope of this device."""
        sequence = self.vector.get(self.me, 0) + 1
        envelope = ModelEnvelope(self.me, sequence, self.epoch(), content)
        return [self._store(envelope, encode(envelope))]

    def receive(
        self, encoded: Sequence[bytes]
    ) -> tuple[list[New], list[tuple[DeviceId, int, Refusal]]]:
        """Store what is acceptable."""
        new: list[New] = []
        refused: dict[DeviceId, tuple[int, Refusal]] = {}
        for each in encoded:
            envelope = decode_envelope(each)
            device = DeviceId(envelope.device)
            held = self.vector.get(device, 0)
            if envelope.sequence <= held or device in refused:
                continue
            refusal = self._refusal(envelope, held)
            if refusal is None:
                new.append(self._store(envelope, each))
            else:
                refused[device] = (envelope.sequence, refusal)
        return new, [(device, *why) for device, why in refused.items()]

    def after(self, device: DeviceId, sequence: int, max_bytes: int) -> list[bytes]:
        """Return envelopes from `sequence` + 1 on, none if that one is pruned."""
        found: list[bytes] = []
        size = 0
        held = self.envelopes.get(device, {})
        while (envelope := held.get(sequence + len(found) + 1)) is not None:
            size += len(envelope)
            if found and size > max_bytes:
                break
            found.append(envelope)
        return found

    def prune(self) -> None:
        """Drop what every other member is known to hold."""
        others = [each for each in self.members() if each != self.me]
        known = [self.acknowledged.get(each, {}) for each in others]
        for device, held in self.envelopes.items():
            limit = min((each.get(device, 0) for each in known), default=0)
            for sequence in [each for each in held if each <= limit]:
                del held[sequence]

    def checkpoint(self) -> list[bytes]:
        """Return the parts of a checkpoint of what is held now."""
        contents = sorted(self.graph)
        cuts = range(0, len(contents), 20)
        head = encode((sorted(self.vector.items()), len(cuts)))
        return [head, *(encode(contents[cut : cut + 20]) for cut in cuts)]

    def install(self, index: int, total: int, part: bytes) -> None:
        """Store a part of a checkpoint; the last one makes the vector jump."""
        self.parts[index:] = [part]
        if index + 1 < total:
            return
        entries = msgspec.msgpack.decode(
            self.parts[0], type=tuple[list[tuple[bytes, int]], int]
        )
        for each in self.parts[1:]:
            for content in msgspec.msgpack.decode(each, type=list[bytes]):
                self._show(content)
        for device, count in entries[0]:
            known = DeviceId(device)
            if count > self.vector.get(known, 0):
                self.vector[known] = count
                self.envelopes[known] = {}
        self.parts.clear()

    def state(self, kind: str, device: DeviceId, cut: int = 0) -> None:
        """Make a statement."""
        encoded = encode(ModelStatement(kind, device, cut, self.me))
        self.statements[hashlib.sha256(encoded).digest()] = encoded

    def receive_statements(self, encoded: Iterable[bytes]) -> None:
        """Store statements; keep what was taken from a device that is removed."""
        for each in encoded:
            self.statements.setdefault(hashlib.sha256(each).digest(), each)
        for device, cut in self.cuts().items():
            held = self.vector.get(device, 0)
            if held > cut and self.standing(self.me) is Standing.MEMBER:
                self.state("extend", device, held)

    def roster(self, peer: DeviceId) -> RosterState:
        """Return what a session with `peer` has to know."""
        fingerprint = hashlib.sha256(b"".join(sorted(self.statements))).digest()
        hashes = tuple(self.statements)
        return RosterState(
            fingerprint, hashes, self.standing(peer), self.standing(self.me)
        )

    def standing(self, device: DeviceId) -> Standing:
        """Return what the statements say of a device."""
        if device in self.cuts():
            return Standing.REMOVED
        is_known = device in self._told("add")
        return Standing.MEMBER if is_known else Standing.STRANGER

    def members(self) -> set[DeviceId]:
        """Return who is in the roster."""
        return set(self._told("add")) - set(self.cuts())

    def cuts(self) -> dict[DeviceId, int]:
        """Return up to which number envelopes of removed devices are accepted."""
        removed, extended = self._told("remove"), self._told("extend")
        return {
            device: max(cut, extended.get(device, 0)) for device, cut in removed.items()
        }

    def epoch(self) -> bytes:
        """Return the present epoch."""
        return max(self._epochs())

    def note(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Remember what a peer holds durably."""
        known = self.acknowledged.setdefault(peer, {})
        for device, count in vector.items():
            known[device] = max(count, known.get(device, 0))

    def _refusal(self, envelope: ModelEnvelope, held: int) -> Refusal | None:
        device = DeviceId(envelope.device)
        if self.standing(device) is Standing.STRANGER:
            return Refusal.STRANGER
        if envelope.sequence > self.cuts().get(device, envelope.sequence):
            return Refusal.REMOVED
        if envelope.sequence != held + 1:
            return Refusal.GAP
        return None if envelope.epoch in self._epochs() else Refusal.NO_KEY

    def _store(self, envelope: ModelEnvelope, encoded: bytes) -> New:
        device = DeviceId(envelope.device)
        self.vector[device] = envelope.sequence
        self.envelopes.setdefault(device, {})[envelope.sequence] = encoded
        self._show(hashlib.sha256(encoded).digest())
        return device, envelope.sequence, encoded

    def _show(self, content: bytes) -> None:
        if content not in self.graph:
            self.graph.add(content)
            self.total = (self.total + int.from_bytes(content)) % 2**512

    def _epochs(self) -> set[bytes]:
        self._read_statements()
        return self._known_epochs

    def _told(self, kind: str) -> dict[DeviceId, int]:
        self._read_statements()
        return self._known.get(kind, {})

    def _read_statements(self) -> None:
        """Evaluate the statements, if there are more than the last time."""
        if len(self.statements) == self._read:
            return
        self._read = len(self.statements)
        self._known, self._known_epochs = {}, {FIRST_EPOCH}
        for key, encoded in self.statements.items():
            each = decode_statement(encoded)
            told = self._known.setdefault(each.kind, {})
            device = DeviceId(each.device)
            told[device] = max(told.get(device, 0), each.cut)
            if each.kind == "remove":
                self._known_epochs.add(key)
