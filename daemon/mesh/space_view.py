"""What the event loop knows of the space: what is held here, who belongs, who has what.

Rule: values of one moment, replaced as a whole when the replica tells of another; the
replica itself is never looked at from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crdt.holding import Holding
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.known_addresses import KnownAddresses, read_addresses
from crdt.pause import read_pause
from crdt.replica import Replica
from crdt.roster import Member
from crdt.vectors import VersionVector
from daemon.mesh.peer_record import Here, PeerRecord
from transport.sync_actions import Holdings, RosterState, Standing


@dataclass(frozen=True, slots=True)
class Clocks:
    """Times and dice, from outside."""

    wall_ms: Callable[[], int]
    steady_ms: Callable[[], int]
    """Of a clock that goes on while the machine sleeps."""
    awake_ms: Callable[[], int]
    """Of a clock that does not."""
    randomness: Callable[[int], bytes]
    dice: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a start reads of the replica."""

    holding: Holding
    addresses: KnownAddresses
    acknowledged: Mapping[DeviceId, VersionVector]
    heard_ms: Mapping[DeviceId, int]
    is_paused: bool


def observed(replica: Replica) -> Observed:
    """Return what is held here, where devices were, and what they said they hold."""
    return Observed(
        holding=replica.holding,
        addresses=replica.look_aside(read_addresses),
        acknowledged=dict(replica.acknowledged),
        heard_ms=dict(replica.heard_ms),
        is_paused=replica.look_aside(read_pause),
    )


@dataclass(slots=True, eq=False)
class SpaceView:
    """One space as this device sees it now."""

    identity: Identity
    holding: Holding
    is_paused: bool = False
    records: dict[DeviceId, PeerRecord] = field(default_factory=dict)
    is_disk_full: bool = False
    lacks_key: bool = False
    stalls: int = 0
    """How often something stalled since the start."""

    @property
    def here(self) -> Here:
        """How it is with this device."""
        own = self.holding.roster.member(self.identity.device)
        return Here(
            device=self.identity.device,
            vector=self.holding.vector,
            is_sealed=bool(self.holding.digest),
            is_removed=own is None or own.is_removed,
            is_paused=self.is_paused,
            is_disk_full=self.is_disk_full,
            lacks_key=self.lacks_key or self.holding.lacks_key,
            forked=self.holding.forked,
        )

    @property
    def others(self) -> frozenset[DeviceId]:
        """The devices to which there should be a link."""
        if self.here.is_removed:
            return frozenset()
        members = self.holding.roster.members.values()
        present = (each.device for each in members if not each.is_removed)
        return frozenset(present) - {self.identity.device}

    @property
    def holdings(self) -> Holdings:
        """What is held, as sessions take it."""
        return Holdings(self.holding.vector, self.holding.digest or None)

    def member(self, device: DeviceId, /) -> Member | None:
        """Return a device that is or was in the roster."""
        return self.holding.roster.member(device)

    def record(self, device: DeviceId) -> PeerRecord:
        """Return what is known of a device."""
        return self.records.setdefault(device, PeerRecord())

    def roster_state(self, peer: DeviceId) -> RosterState:
        """Return what a session with a peer has to know of the roster."""
        roster = self.holding.roster
        return RosterState(
            fingerprint=roster.fingerprint,
            hashes=tuple(each.hash for each in roster.statements),
            peer=_standing(roster.member(peer)),
            me=_standing(roster.member(self.identity.device)),
        )


def _standing(member: Member | None) -> Standing:
    if member is None:
        return Standing.STRANGER
    return Standing.REMOVED if member.is_removed else Standing.MEMBER
