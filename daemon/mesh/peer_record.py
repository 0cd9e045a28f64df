"""What this run has learnt of one other device; the base of what is said of it.

Rule: what a device said is kept as it said it; whether it is in step is worked out
from that when somebody asks.
"""

from dataclasses import dataclass, field

from crdt.ids import DeviceId
from crdt.roster import Member
from crdt.vectors import VersionVector, missing
from daemon.mesh.report import LinkKind
from daemon.mesh.standing import (
    DigestsDiffer,
    DiskFull,
    Forked,
    KeyMissing,
    Paused,
    PeerStanding,
    Removed,
    Stalled,
    Trouble,
    Unlinked,
    foremost,
)
from transport.exchange import Told
from transport.frames import Condition
from transport.reasons import ClockSkew, Reason
from transport.sync_actions import Acknowledged, Compared, Moved, Received
from transport.sync_actions import Stalled as SessionStalled


@dataclass(frozen=True, slots=True)
class Here:
    """How it is with this device at one moment."""

    device: DeviceId
    vector: VersionVector
    is_removed: bool
    is_paused: bool
    is_disk_full: bool
    lacks_key: bool
    forked: frozenset[DeviceId]


@dataclass(slots=True, eq=False)
class PeerRecord:
    """One other device."""

    vector: VersionVector = field(default_factory=dict)
    """What it said that it holds."""
    last_ack_ms: int | None = None
    condition: Condition = Condition.NONE
    in_step_at: VersionVector | None = None
    """The vector at which both showed the same, the last time they compared."""
    differs_at: VersionVector | None = None
    stalled_ms: int | None = None
    progress: tuple[int, int] | None = None
    skew_ms: int | None = None
    """How far its clock was ahead of ours when it last asked for a link."""

    def note(self, told: Told, here: VersionVector, now_ms: int) -> None:
        """Take in what a session found out."""
        match told:
            case Acknowledged(vector, _, condition):
                self.vector, self.last_ack_ms = dict(vector), now_ms
                self.condition = condition
            case Compared(is_equal=True):
                self.in_step_at, self.differs_at = dict(here), None
            case Compared():
                self.differs_at = dict(here)
            case Moved():
                self.stalled_ms = None
            case SessionStalled(for_ms):
                self.stalled_ms = for_ms
            case Received(done, total):
                self.progress = (done, total)

    def link_made(self) -> None:
        """Take note that there is a link: what kept it from being made is over."""
        self.skew_ms = None

    def link_lost(self) -> None:
        """Take note that there is no link: what stalled on it does not any more."""
        self.stalled_ms = None

    def standing(
        self, member: Member, here: Here, link: LinkKind | None, reason: Reason
    ) -> PeerStanding:
        """Return how the device stands to this one."""
        return PeerStanding(
            device=member.device,
            link=link,
            pending_out=missing(here.vector, self.vector),
            pending_in=missing(self.vector, here.vector),
            last_ack_ms=self.last_ack_ms,
            is_digest_equal=self.in_step_at == dict(here.vector),
            trouble=foremost(self._troubles(member, here, link, reason)),
        )

    def _troubles(
        self, member: Member, here: Here, link: LinkKind | None, reason: Reason
    ) -> list[Trouble]:
        if here.is_removed or member.is_removed:
            return [Removed(is_here=here.is_removed)]
        found: list[Trouble] = []
        if here.device in here.forked or member.device in here.forked:
            found.append(Forked(is_here=here.device in here.forked))
        if self.differs_at == dict(here.vector):
            found.append(DigestsDiffer())
        for condition, trouble in (
            (Condition.DISK_FULL, DiskFull),
            (Condition.KEY_MISSING, KeyMissing),
        ):
            if condition in self.condition and link is not None:
                found.append(trouble(is_here=False))
        if here.is_disk_full:
            found.append(DiskFull(is_here=True))
        if here.lacks_key:
            found.append(KeyMissing(is_here=True))
        if here.is_paused:
            found.append(Paused(is_here=True))
        elif link is None:
            skewed = ClockSkew(self.skew_ms)
            found.append(Unlinked(reason if self.skew_ms is None else skewed))
        if self.stalled_ms is not None and link is not None:
            found.append(Stalled(self.stalled_ms))
        return found
