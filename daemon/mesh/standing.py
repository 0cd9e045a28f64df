"""How a device stands to this one: pending, safe, in step, and if not, why not.

Rules of this file:
1. `safe` and `synced` are said only of what the other device itself acknowledged as
   durable; a digest counts as equal only as long as both hold the same envelopes.
2. Whatever keeps a device behind has a cause in plain words, and something to do.
3. Of several troubles the one is told that has to be dealt with first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, assert_never

from crdt.ids import DeviceId
from transport.reasons import Reason, explained
from transport.sync_actions import EndCause, StallCause


class SpaceState(StrEnum):
    """How a space stands on all its devices together."""

    ALONE = "alone"
    SYNCED = "synced"
    SYNCING = "syncing"
    BEHIND = "behind"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Unlinked:
    """There is no link, for a reason that dialling knows."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Removed:
    """One of the two devices was removed from the space."""

    is_here: bool
    """Whether it is this device that was removed."""


@dataclass(frozen=True, slots=True)
class KeyMissing:
    """The key of an epoch is not on the device that has to read it."""

    is_here: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """A person paused synchronising."""

    is_here: bool


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A store has no room for what arrives."""

    is_here: bool


@dataclass(frozen=True, slots=True)
class Forked:
    """Two histories were signed in the device's name: its home was copied."""

    is_here: bool
    """Whether it is this device's name that is used twice."""


@dataclass(frozen=True, slots=True)
class DigestsDiffer:
    """Both hold the same envelopes and show different graphs: a fault of ours."""


@dataclass(frozen=True, slots=True)
class NewerVersion:
    """The other device speaks a version that this one does not."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon there said that it stops."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Linked and pending, and nothing has moved for a minute."""

    cause: StallCause


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """The last session ended by a fault, and nothing has moved since."""

    cause: EndCause


Trouble: TypeAlias = (
    Unlinked
    | Removed
    | KeyMissing
    | Paused
    | DiskFull
    | Forked
    | DigestsDiffer
    | NewerVersion
    | Stopped
    | Stuck
    | BrokenOff
)
_ORDER: Final = (
    Removed,
    Forked,
    DigestsDiffer,
    KeyMissing,
    NewerVersion,
    DiskFull,
    Paused,
    Stuck,
    BrokenOff,
    Stopped,
    Unlinked,
)
"""Which trouble is told first."""
_PASSING: Final = (
    BrokenOff(EndCause.STRANGER_HERE),
    BrokenOff(EndCause.STRANGER_THERE),
)
"""Devices are introduced to each other when they meet: this lasts for moments."""
_HIDING: Final = (Removed, Forked, KeyMissing, NewerVersion, DiskFull)
"""With these there may be changes that the two devices cannot even tell of."""


@dataclass(frozen=True, slots=True)
class PeerStanding:
    """What is known of a member device at one moment."""

    device: DeviceId
    link: Literal["webrtc", "relay"] | None
    pending_out: int
    """Envelopes held here that it has not acknowledged."""
    pending_in: int
    """Envelopes that it announced and this device does not hold."""
    last_ack_ms: int | None
    """When it last acknowledged anything, on this device's clock."""
    is_digest_equal: bool
    trouble: Trouble | None
    is_stalled: bool = False
    """Whether something is pending and has not moved, whatever is told as its cause."""

    @property
    def is_safe(self) -> bool:
        """Whether it durably holds everything that this device holds."""
        return self.last_ack_ms is not None and self.pending_out == 0

    @property
    def is_synced(self) -> bool:
        """Whether the two devices hold and show the same."""
        return self.is_safe and self.pending_in == 0 and self.is_digest_equal


def space_state(peers: Iterable[PeerStanding]) -> SpaceState:
    """Return how a space stands, given its other devices that read."""
    peers = list(peers)
    if not peers:
        return SpaceState.ALONE
    if any(peer.is_stalled or _is_alarming(peer.trouble) for peer in peers):
        return SpaceState.STALLED
    behind = [
        peer
        for peer in peers
        if not peer.is_synced or isinstance(peer.trouble, _HIDING)
    ]
    if not behind:
        return SpaceState.SYNCED
    if any(peer.link is not None for peer in behind):
        return SpaceState.SYNCING
    return SpaceState.BEHIND


def _is_alarming(trouble: Trouble | None) -> bool:
    """Whether it does not pass by itself, though there is or could be a link."""
    if trouble in _PASSING:
        return False
    return isinstance(trouble, Stuck | DigestsDiffer | BrokenOff)


def foremost(troubles: Iterable[Trouble]) -> Trouble | None:
    """Return the trouble to tell first, or None if there is none."""
    return min(troubles, key=lambda each: _ORDER.index(type(each)), default=None)


def explain(trouble: Trouble) -> tuple[str, str | None]:
    """Return the cause in plain words, and what a person can do, if anything."""
    match trouble:
        case Unlinked(reason):
            words = explained(reason)
            return words.text, words.fix
        case Stopped():
            return "it was stopped", "Start Fractality there; nothing is lost."
        case Stuck(cause):
            return (
                f"stalled: {cause}",
                "'fractality sync' links anew; 'fractality doctor' looks for faults.",
            )
        case BrokenOff(cause):
            return (
                f"synchronising broke off: {cause}",
                (
                    "It is tried again by itself. If this stays, bring both devices to"
                    " the newest version; 'fractality doctor' looks for faults."
                ),
            )
        case DigestsDiffer():
            return (
                "both hold the same changes and show different graphs",
                "Nothing is lost. The fault is ours: keep both homes and report it.",
            )
        case NewerVersion():
            return (
                "it runs another version of Fractality",
                "Bring both devices to the same version.",
            )
        case Removed() | KeyMissing() | Paused() | DiskFull() | Forked():
            return _of_one_side(trouble)
        case _:
            assert_never(trouble)


def _of_one_side(
    trouble: Removed | KeyMissing | Paused | DiskFull | Forked,
) -> tuple[str, str]:
    here, there = _SIDES[type(trouble)]
    return here if trouble.is_here else there


_SIDES: Final[Mapping[type, tuple[tuple[str, str], tuple[str, str]]]] = {
    Removed: (
        (
            "this device was removed from the space",
            "What it holds is still here. To take part again, join with a new home.",
        ),
        ("revoked", "Nothing to do: it gets no more changes."),
    ),
    KeyMissing: (
        (
            "key of epoch missing on this device",
            "Link this device with one that has the key: it is handed over then.",
        ),
        (
            "key of epoch missing there",
            "It is handed over as soon as an admin device is linked with it.",
        ),
    ),
    Paused: (
        ("paused on this device", "'fractality sync --resume' goes on."),
        ("paused there", "'fractality sync --resume' on that device goes on."),
    ),
    DiskFull: (
        ("disk full on this device", "Free some space here; the rest follows."),
        ("disk full there", "Free some space on that device; the rest follows."),
    ),
    Forked: (
        (
            "this home was copied: two devices write in its name",
            "Stop one of them and let it join anew; what both wrote is kept here.",
        ),
        (
            "its home was copied: two devices write in its name",
            "Stop one of them; then 'fractality revoke' it and let it join anew.",
        ),
    ),
}
