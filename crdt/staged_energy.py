"""The energies that a group of changes leaves, held back like its rows.

Rules of this file:
1. The one ATP of a node's creation decays by the half-life that its network has; when
   that changes, or the node changes its network, its energy is worked out anew.
2. A pulse counts under the half-life that its network has on this device at that
   moment, and stays under it.
"""

from dataclasses import dataclass, field

import apsw

from crdt import energy
from crdt.devices import OWN_DEVICE, device_number
from crdt.energy_rows import read_landmark, read_landmarks, write_landmark
from crdt.graph_index import GraphIndex
from crdt.ids import DeviceId
from crdt.networks import half_life_of, network_of
from crdt.read_model import read_node
from crdt.records import Node
from crdt.staged_rows import StagedRows


@dataclass(slots=True, eq=False)
class StagedEnergy:
    """What a group does to energies."""

    connection: apsw.Connection
    index: GraphIndex
    rows: StagedRows
    device: DeviceId
    now_ms: int
    _ghosts: set[int] = field(default_factory=set)
    """Ghosts that the group gave energy; it counts when they become nodes."""

    def half_life(self, network: str) -> int:
        """Return the half-life of a network, as the group leaves it."""
        staged = self.rows.half_lives.get(network)
        return self.index.half_life(network) if staged is None else staged

    def show(
        self, number: int, before: Node | None, after: Node, *, is_new: bool
    ) -> None:
        """Stage the energy of a node that changes from `before` to `after`."""
        network = network_of(after.key)
        if network is not None:
            self.rows.half_lives[network] = half_life_of(after)
        if is_new and number not in self._ghosts:
            half_life = self.half_life(after.network)
            self.rows.landmarks[number] = energy.totals(after.created_ms, half_life, ())
        elif (
            before is None
            or before.created_ms != after.created_ms
            or before.network != after.network
        ):
            self.refresh(number, after)

    def forget(self, number: int, before: Node) -> None:
        """Stage that a node is a ghost again."""
        network = network_of(before.key)
        if network is not None:
            self.rows.half_lives[network] = energy.HALF_LIFE
        self.rows.landmarks[number] = energy.NOTHING

    def refresh(self, number: int, node: Node) -> None:
        """Stage the energy of a node as its creation and the energy rows have it."""
        self.rows.landmarks[number] = energy.totals(
            node.created_ms,
            self.half_life(node.network),
            read_landmarks(self.connection, number),
        )

    def pulse(self, number: int, node: Node, amount: float) -> tuple[int, float]:
        """Stage energy that this device's person gives; return where it counts now.

        That is (half-life, landmark) of this device.
        """
        half_life = self.half_life(node.network)
        before = read_landmark(self.connection, number, OWN_DEVICE, half_life)
        landmark = energy.pulsed(before, amount, self.now_ms, half_life)
        write_landmark(self.connection, number, OWN_DEVICE, half_life, landmark)
        self.refresh(number, node)
        return half_life, landmark

    def merge(
        self,
        number: int,
        node: Node | None,
        device: DeviceId,
        half_life: int,
        landmark: float,
    ) -> bool:
        """Stage an accumulator from elsewhere; return whether it says something new."""
        is_own = device == self.device
        row = OWN_DEVICE if is_own else device_number(self.connection, device)
        if landmark <= read_landmark(self.connection, number, row, half_life):
            return False
        write_landmark(self.connection, number, row, half_life, landmark)
        if node is None:
            self._ghosts.add(number)
        else:
            self.refresh(number, node)
        return True

    def settle(self) -> None:
        """Stage the energies of all nodes whose network has another half-life now."""
        if not self.rows.half_lives:
            return
        # What the group touched may have met a half-life that it left again.
        touched = self.rows.nodes.keys() | self.rows.landmarks.keys()
        for number in touched:
            node = self._node(number)
            if node is not None and node.network in self.rows.half_lives:
                self.refresh(number, node)
        for network, half_life in self.rows.half_lives.items():
            if half_life == self.index.half_life(network):
                continue
            for number, created_ms in self.connection.execute(
                "SELECT id, created_ms FROM node WHERE network = ? AND state > 0",
                (network,),
            ):
                if number not in touched:
                    self.rows.landmarks[number] = energy.totals(
                        created_ms, half_life, read_landmarks(self.connection, number)
                    )

    def _node(self, number: int) -> Node | None:
        if number in self.rows.nodes:
            return self.rows.nodes[number]
        return read_node(self.connection, number)
