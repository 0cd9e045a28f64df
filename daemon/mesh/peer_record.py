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
    BrokenOff,
    DigestsDiffer,
    DiskFull,
    Forked,
    KeyMissing,
    NewerVersion,
    Paused,
    PeerStanding,
    Removed,
    Stopped,
    Stuck,
    Trouble,
    Unlinked,
    foremost,
)
from transport.frames import Condition, Refusal
from transport.reasons import (
    Awaited,
    ClockSkew,
    Dialling,
    Doubtful,
    Failed,
    FailureCause,
    Linked,
    Reason,
)
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
    is_sealed: bool
    """Whether everything that is shown stands in an envelope."""
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
    pending: Progress | None = None
    """What both sides lacked, as the session last told."""
    progress: CheckpointProgress | None = None
    ended: EndCause | None = None
    """Why the last session ended; a fault is kept until something moves again."""
    tells_all: bool = False
    """Whether what it acknowledges next is everything that it holds."""
    skew_ms: int | None = None
    """How far its clock was ahead of ours when it last asked for a link."""

    def acknowledge(self, vector: VersionVector, now_ms: int) -> None:
        """Take note of what it holds durably: all, after a hello, or what grew."""
        if self.tells_all:
            self.vector.clear()
            self.tells_all = False
        self.vector.update(vector)
        self.last_ack_ms = now_ms

    def note(self, news: News, here: VersionVector) -> None:
        """Take in what a session found out."""
        match news:
            case Greeted(condition=condition):
                self.condition = condition
                self.differs_at = None
                self.tells_all = True
                if self.ended not in _FAULTS:
                    self.ended = None
            case Conditioned(condition):
                self.condition = condition
            case Progress():
                self._progressed(news)
            case CheckpointProgress(done, total):
                self.progress = news if done < total else None
                self.ended = None
            case Compared(is_equal=True):
                self.in_step_at, self.differs_at = dict(here), None
                self.ended, self.lacks_key_there = None, False
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

    def _progressed(self, now: Progress) -> None:
        """Take note of what both lack: a fault is over once that has become less."""
        before, self.pending = self.pending, now
        if not now.lacking_there:
            self.lacks_key_there = False
        if before is None:
            return
        is_out = now.lacking_there < before.lacking_there
        is_in = now.lacking_here < before.lacking_here
        if (is_out and self.ended in _OVER_BY_GIVING) or (
            is_in and self.ended in _OVER_BY_TAKING
        ):
            self.ended = None

    def session_ended(self, cause: EndCause | None) -> None:
        """Take note that there is no session: what stalled in it does not any more."""
        self._forget_session()
        if cause is not None or self.ended not in _FAULTS:
            self.ended = cause

    def link_made(self) -> None:
        """Take note that there is a link: what kept it from being made is over."""
        self._forget_session()
        self.skew_ms = None

    def _forget_session(self) -> None:
        self.stalled = self.progress = self.pending = None
        self.lacks_key_there = self.tells_all = False

    def standing(
        self, member: Member, here: Here, link: LinkKind | None, reason: Reason
    ) -> PeerStanding:
        """Return how the device stands to this one."""
        return PeerStanding(
            device=member.device,
            link=link,
            # What stands in no envelope yet will need at least one.
            pending_out=missing(here.vector, self.vector) + (not here.is_sealed),
            pending_in=missing(self.vector, here.vector),
            last_ack_ms=self.last_ack_ms,
            is_digest_equal=self.in_step_at == dict(here.vector),
            trouble=foremost(self._troubles(member, here, link, reason)),
            is_stalled=link is not None and self.stalled is not None,
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
        if here.is_disk_full or self.ended is EndCause.DISK_FULL:
            found.append(DiskFull(is_here=True))
        if self.ended is EndCause.DISK_FULL_THERE:
            found.append(DiskFull(is_here=False))
        if here.lacks_key:
            found.append(KeyMissing(is_here=True))
        if here.is_paused:
            found.append(Paused(is_here=True))
        if link is None:
            found.append(self._unlinked(reason))
        else:
            found += self._linked_troubles()
        if self.ended in _BROKEN and (link is not None or _is_reached(reason)):
            found.append(BrokenOff(self.ended))
        return found

    def _unlinked(self, reason: Reason) -> Trouble:
        if self.skew_ms is not None:
            return Unlinked(ClockSkew(self.skew_ms))
        if _is_cut_short(reason) and self.ended is EndCause.PEER_LEFT:
            return Stopped()
        return Unlinked(reason)

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


def _is_cut_short(reason: Reason) -> bool:
    return isinstance(reason, Failed) and reason.cause is FailureCause.CUT_SHORT


def _is_reached(reason: Reason) -> bool:
    """Whether nothing but what ends the sessions is known to be in the way."""
    return isinstance(reason, Linked | Doubtful | Dialling | Awaited) or (
        _is_cut_short(reason)
    )


_FORKED_HERE: Final = (EndCause.ROLLED_BACK_HERE, EndCause.COPIED_HERE)
_FORKED_THERE: Final = (EndCause.ROLLED_BACK_THERE, EndCause.FORKED)
_FAULTS: Final = frozenset(EndCause) - {
    EndCause.STOPPED,
    EndCause.PEER_LEFT,
    EndCause.REPLACED,
    EndCause.REMOVED_HERE,
    EndCause.REMOVED_THERE,
}
"""What is not the end that a session should have."""
_BROKEN: Final = _FAULTS - {
    *_FORKED_HERE,
    *_FORKED_THERE,
    EndCause.VERSION,
    EndCause.DISK_FULL,
    EndCause.DISK_FULL_THERE,
}
"""Those that have no words of their own."""
_OVER_BY_GIVING: Final = frozenset(
    {EndCause.DISK_FULL_THERE, EndCause.REJECTED, EndCause.STALLED}
)
"""These are over when the other device takes something."""
_OVER_BY_TAKING: Final = _FAULTS - {EndCause.DISK_FULL_THERE, EndCause.REJECTED}
"""These are over when this device takes something."""
