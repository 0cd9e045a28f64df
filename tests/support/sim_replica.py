"""What a simulated device needs of the replica that survives its crashes."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from crdt.ids import DeviceId
from transport.frames import Refusal
from transport.sync_actions import Holdings, RosterState, Standing

New: TypeAlias = tuple[DeviceId, int, bytes]
"""An envelope that became durable: its device, number and bytes."""


class SimReplica(Protocol):
    """A replica: a model in plain Python, or a real store."""

    @property
    def me(self) -> DeviceId:
        """Whose it is."""

    @property
    def vector(self) -> Mapping[DeviceId, int]:
        """What is held durably."""

    @property
    def shown(self) -> object:
        """What is shown; equal for equal graphs."""

    @property
    def statements(self) -> Mapping[bytes, bytes]:
        """Accepted statements by their hashes, parents first."""

    @property
    def acknowledged(self) -> Mapping[DeviceId, Mapping[DeviceId, int]]:
        """What other devices said that they hold."""

    def holdings(self) -> Holdings:
        """Return what a session has to know of it."""

    def roster(self, peer: DeviceId) -> RosterState:
        """Return what a session with a peer has to know of the roster."""

    def standing(self, device: DeviceId) -> Standing:
        """Return what the roster says of a device."""

    def cuts(self) -> Mapping[DeviceId, int]:
        """Return how much is accepted of devices that were removed."""

    def write(self, content: bytes) -> list[New]:
        """Write something."""

    def receive(
        self, encoded: Sequence[bytes]
    ) -> tuple[list[New], list[tuple[DeviceId, int, Refusal]]]:
        """Store what is acceptable."""

    def receive_statements(self, encoded: Sequence[bytes]) -> None:
        """Store statements."""

    def state(self, kind: str, device: DeviceId, cut: int = 0) -> None:
        """Make a statement."""

    def after(self, device: DeviceId, sequence: int, max_bytes: int) -> list[bytes]:
        """Return envelopes that follow."""

    def note(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Remember what a peer holds."""

    def checkpoint(self) -> list[bytes]:
        """Return the parts of a checkpoint."""

    def install(self, index: int, total: int, part: bytes) -> None:
        """Store a part of a checkpoint."""

    def crash(self) -> None:
        """Forget what is not durable."""
