"""Devices in a simulated network: sessions, stores that take time, and bad days.

A device is its durable replica and, while it runs, sessions and a queue of work for its
store. A crash forgets all but the replica. At every step is checked that a peer knows
nothing to be durable that is not.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Generic

from crdt.ids import DeviceId
from tests.support.sim_device import Replica, Running, SimDevice
from tests.support.simnet import End, SimLink, SimNet
from transport.sync_actions import (
    EndCause,
)
from transport.sync_states import State
from transport.vectors import lacks

FINAL_CAUSES: Final = {EndCause.REMOVED_HERE, EndCause.REMOVED_THERE}
BENIGN_CAUSES: Final = FINAL_CAUSES | {
    EndCause.STOPPED,
    EndCause.REPLACED,
    EndCause.PEER_LEFT,
    EndCause.STALLED,
    EndCause.STRANGER_HERE,
    EndCause.STRANGER_THERE,
}
"""Why sessions among honest devices may end."""


class Swarm(Generic[Replica]):
    """Some devices, and which of them can reach which."""

    def __init__(self, seed: int, replicas: Sequence[Replica]) -> None:
        self.net = SimNet(seed)
        self.devices = [SimDevice(self, replica) for replica in replicas]
        self.by_id = {each.me: each for each in self.devices}
        self.ways: set[tuple[int, int]] = set()
        """Pairs of indices, the lower first, that can have a link at present."""
        self.honest = set(self.by_id)
        self.is_restless = True
        """Whether now and then a second link is made beside one that is good."""

    def check_durable(self, device: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """What a device told to be durable is so at this moment."""
        if device in self.honest:
            missing = lacks(self.by_id[device].replica.vector, vector)
            assert missing == 0, "what was acknowledged is not durable"

    def check_end(self, me: DeviceId, running: Running, cause: EndCause) -> None:
        """Honest devices end sessions among them for good reasons only."""
        peer = running.session.name.peer
        if me in self.honest and peer in self.honest:
            assert cause in BENIGN_CAUSES, f"a session ended: {cause}"

    def dial(self) -> None:
        """Make links where there are none and there can be, now and then."""
        dice = self.net.dice
        for low, high in sorted(self.ways):
            first, second = self.devices[low], self.devices[high]
            linked = any(each.session.name.peer == second.me for each in first.sessions)
            may = first.is_running and second.is_running
            chance = (0.02 if self.is_restless else 0) if linked else 0.5
            if may and dice.random() < chance:
                self.connect(first, second)
        self.net.after(dice.uniform(50, 400), self.dial)

    def connect(self, first: SimDevice[Replica], second: SimDevice[Replica]) -> None:
        """Make a link between two devices that run."""
        found: dict[SimDevice[Replica], Running] = {}

        def end_of(device: SimDevice[Replica]) -> End:
            return End(
                lambda frame: device.receive(found[device], frame),
                lambda: device.lose(found[device]) if device in found else None,
            )

        link = SimLink(self.net, (end_of(first), end_of(second)))
        for end, (device, peer) in enumerate(((first, second), (second, first))):
            device.meet(peer.me, link, end)
            found[device] = device.sessions[-1]

    def links(self) -> list[SimLink]:
        """Return the links that somebody holds."""
        return [each.link for device in self.devices for each in device.sessions]

    def members(self) -> list[SimDevice[Replica]]:
        """Return the honest devices that nobody has removed."""
        removed = {device for each in self.devices for device in each.replica.cuts()}
        return [
            each
            for each in self.devices
            if each.me in self.honest and each.me not in removed
        ]

    def is_in_step(self) -> bool:
        """Whether all members have the same, know it of their peers, and are quiet."""
        members = self.members()
        vectors = [each.replica.vector for each in members]
        graphs = [each.replica.shown for each in members]
        rosters = [set(each.replica.statements) for each in members]
        is_same = all(
            each == every[0] for every in (vectors, graphs, rosters) for each in every
        )
        ids = {each.me for each in members}
        return is_same and all(
            running.session.state is State.SYNCING
            and running.verdict is True
            and each.replica.acknowledged.get(running.session.name.peer) == vectors[0]
            for each in members
            for running in each.sessions
            if running.session.name.peer in ids
        )
