"""What a session of a circle asks to be done, what it reports, and why it ends.

Specification: docs/protocol/circle-sync.md. A session never acts:
`transport/circle_exchange.py` performs its actions, in the order in which they come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import CircleId, DeviceId
from transport.circle_frames import CircleFrame


@dataclass(frozen=True, slots=True)
class CircleSessionName:
    """What this side tells of a session when it says hello."""

    circle: CircleId
    me: DeviceId
    peer: DeviceId
    run: bytes
    """8 random bytes, made when this process started."""
    serial: int
    """Counts the sessions of this process."""


class CircleEnd(StrEnum):
    """Why a session of a circle ended."""

    STOPPED = "stopped here"
    PEER_LEFT = "the other device ended it"
    REPLACED = "another session with the device goes on"
    REMOVED = "the member of the device left the circle or was removed"
    REMOVED_HERE = "the other device says that this member left or was removed"
    FOREIGN_CIRCLE = "the devices mean different circles"
    VERSION = "the devices speak different versions of the protocol"
    MALFORMED = "the device sent what is no frame"
    OUT_OF_PLACE = "the device sent a frame that had no place there"
    FLOODED = "the device sent more than was agreed"
    ENDLESS = "the device went on comparing without end"
    GREEDY = "the device asked for everything again and again"
    OVERACKNOWLEDGED = "the device acknowledged what was not sent to it"
    USELESS = "the device kept sending what is of no use"
    WITHHELD = "the device did not send what it said it has"
    BROKEN_ITEM = "the device sent what is no item of this circle"
    DISK_FULL = "the disk of this device is full"
    DISK_FULL_THERE = "the disk of the other device is full"
    REJECTED = "the other device could not use what this one sent"
    STALLED = "nothing moved for minutes"


@dataclass(frozen=True, slots=True)
class Greeted:
    """The other device has said hello."""

    run: bytes
    serial: int
    rule: str
    """By which rule it computes consensus: results of another are not compared."""


@dataclass(frozen=True, slots=True)
class SetProgress:
    """How far one set is from equal."""

    is_equal: bool
    count_here: int
    count_there: int
    lacking_here: int
    """Items that the other device named in the last comparison and this one lacks."""
    lacking_there: int
    """Items to be given to the other device."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far both devices are from having the same, set by set in their order."""

    sets: tuple[SetProgress, SetProgress, SetProgress, SetProgress]
    is_paused_there: bool

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same."""
        return all(each.is_equal for each in self.sets)


@dataclass(frozen=True, slots=True)
class Stalled:
    """The other device owes an answer for a minute; None: it moves again."""

    since_ms: int | None


CircleNews: TypeAlias = Greeted | Progress | Stalled


@dataclass(frozen=True, slots=True)
class Send:
    """Give a frame to the link."""

    frame: CircleFrame
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class TakeNames:
    """Read the names of a set; answer with `names_taken`."""

    kind: ItemKind


@dataclass(frozen=True, slots=True)
class Load:
    """Make a payload of the first of these items; answer with `loaded`."""

    kind: ItemKind
    names: Sequence[ItemName]


@dataclass(frozen=True, slots=True)
class Keep:
    """Check and store the items of a payload durably; answer with `kept`."""

    kind: ItemKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Seek:
    """Find out which of these are wanted here; answer with `sought`."""

    kind: ItemKind
    names: Sequence[ItemName]


@dataclass(frozen=True, slots=True)
class Report:
    """Tell whoever watches."""

    news: CircleNews


@dataclass(frozen=True, slots=True)
class ResultsDiffer:
    """Both hold the same and computed different results: a fault, to be shown."""

    here: bytes
    there: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The session is over: send what was said before, then let go of the link."""

    cause: CircleEnd


CircleAction: TypeAlias = (
    Send | TakeNames | Load | Keep | Seek | Report | ResultsDiffer | End
)
