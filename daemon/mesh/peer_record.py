"""What this run has learnt of one other device; the base of what is said of it.

Rule: what a device said is kept as it said it; whether it is in step is worked out
from that when somebody asks.
"""

from dataclasses import dataclass, field
from typing import Final

from crdt.ids import DeviceId
from crdt.roster import Member
from crdt.vectors import VersionVector, missing
from daemon.mesh.report import LinkKind
from daemon.mesh.standing import (
    DigestsDiffer,
    DiskFull,
    Forked,
    KeyMissing,
    NewerVersion,
    Paused,
    PeerStanding,
    Removed,
    Stuck,
    Trouble,
    Unlinked,
    foremost,
)
from transport.frames import Condition, Refusal
from transport.reasons import ClockSkew, Reason
from transport.sync_actions import (
    CheckpointProgress,
    Compared,
    Conditioned,
    EndCause,
    Greeted,
    Moving,
    News,
    NotAccepted,
    Progress,
    StallCause,
    Stalled,
)


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

    vector: dict[DeviceId, int] = field(default_factory=dict)
    """What it said that it holds."""
    last_ack_ms: int | None = None
    condition: Condition = Condition.READY
    in_step_at: VersionVector | None = None
    """The vector at which both showed the same, the last time they compared."""
    differs_at: VersionVector | None = None
    stalled: StallCause | None = None
    lacks_key_there: bool = False
    pending_in: int = 0
    """Envelopes that it has and this device lacks, as the session last told."""
    progress: CheckpointProgress | None = None
    ended: EndCause | None = None
    """Why the last session ended, if it says something about the two devices."""
    skew_ms: int | None = None
    """How far its clock was ahead of ours when it last asked for a link."""

    def acknowledge(self, vector: VersionVector, now_ms: int) -> None:
        """Take note of what it holds durably."""
        self.vector.update(vector)
        self.last_ack_ms = now_ms

    def note(self, news: News, here: VersionVector) -> None:
        """Take in what a session found out."""
        match news:
            case Greeted(condition=condition) | Conditioned(condition):
                self.condition = condition
                self.differs_at = None
            case Progress(lacking_here=lacking):
                self.pending_in = lacking
            case CheckpointProgress():
                self.progress = news
            case Compared(is_equal=True):
                self.in_step_at, self.differs_at = dict(here), None
                self.ended = None
            case Compared():
                self.differs_at = dict(here)
            case NotAccepted(refusal=Refusal.NO_KEY, is_here=False):
                self.lacks_key_there = True
            case NotAccepted():
                pass
            case Stalled(cause):
                self.stalled = cause
            case Moving():
                self.stalled = None
                self.lacks_key_there = False

    def session_ended(self, cause: EndCause | None) -> None:
        """Take note that there is no session: what stalled in it does not any more."""
        self.stalled = self.progress = None
        self.ended = cause

    def link_made(self) -> None:
        """Take note that there is a link: what kept it from being made is over."""
        self.skew_ms = None

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
        if here.device in here.forked or self.ended in _FORKED_HERE:
            found.append(Forked(is_here=True))
        elif member.device in here.forked or self.ended in _FORKED_THERE:
            found.append(Forked(is_here=False))
        if self.differs_at == dict(here.vector):
            found.append(DigestsDiffer())
        if self.ended is EndCause.VERSION:
            found.append(NewerVersion())
        if here.is_disk_full:
            found.append(DiskFull(is_here=True))
        if here.lacks_key:
            found.append(KeyMissing(is_here=True))
        if here.is_paused:
            found.append(Paused(is_here=True))
        elif link is None:
            skewed = ClockSkew(self.skew_ms)
            found.append(Unlinked(reason if self.skew_ms is None else skewed))
        else:
            found += self._linked_troubles()
        return found

    def _linked_troubles(self) -> list[Trouble]:
        found: list[Trouble] = []
        if self.condition is Condition.DISK_FULL:
            found.append(DiskFull(is_here=False))
        if self.condition is Condition.PAUSED:
            found.append(Paused(is_here=False))
        if self.lacks_key_there:
            found.append(KeyMissing(is_here=False))
        if self.stalled is not None:
            found.append(Stuck(self.stalled))
        return found


_FORKED_HERE: Final = (EndCause.ROLLED_BACK_HERE, EndCause.COPIED_HERE)
_FORKED_THERE: Final = (EndCause.ROLLED_BACK_THERE, EndCause.FORKED)
