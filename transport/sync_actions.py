"""What a session asks to be done, what it reports, and why it ends.

Specification: docs/protocol/sync.md. A session never acts: `transport/exchange.py`
performs its actions, in the order in which they come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeAlias

from crdt.ids import DeviceId
from transport.frames import (
    Aside,
    Condition,
    Farewell,
    Frame,
    PartialCheckpoint,
    Refusal,
)


class Standing(Enum):
    """What a roster says of a device."""

    MEMBER = "member"
    REMOVED = "removed"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class RosterState:
    """What a session has to know of its replica's roster."""

    fingerprint: bytes
    hashes: tuple[bytes, ...]
    """Of all accepted statements, parents first."""
    peer: Standing
    me: Standing


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a replica holds durably at one moment."""

    vector: Mapping[DeviceId, int]
    digest: bytes | None
    """What it shows at this vector; None while changes of its own are not sealed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is ready to be sent in parts."""

    id: bytes
    first_part: int
    """The first part to send: those before it the peer has kept already."""
    total: int


class EndCause(StrEnum):
    """Why a session ended."""

    STOPPED = "stopped here"
    PEER_LEFT = "the other device ended it"
    REPLACED = "another session with the device goes on"
    FOREIGN_SPACE = "the devices are of different spaces"
    VERSION = "the devices speak different versions of the protocol"
    MALFORMED = "the device sent what is no frame"
    OUT_OF_PLACE = "the device sent a frame that had no place there"
    FLOODED = "the device sent more than was agreed"
    TOO_MANY_DEVICES = "the device counts envelopes of too many devices"
    OVERACKNOWLEDGED = "the device acknowledged what was not sent to it"
    RETREATED = "the device holds less than it had acknowledged"
    USELESS = "the device kept sending what is of no use"
    BROKEN_ENVELOPE = "the device sent what is no envelope of this space"
    BROKEN_STATEMENT = "the device sent what is no statement of this space"
    BROKEN_CHECKPOINT = "the device sent a checkpoint that does not hold together"
    FORKED = "the device has written two histories"
    COPIED_HERE = "two devices write in the name of this one: its home was copied"
    ROLLED_BACK_HERE = "this device has forgotten envelopes of its own"
    ROLLED_BACK_THERE = "the device has forgotten envelopes of its own"
    REMOVED_HERE = "this device was removed from the space"
    REMOVED_THERE = "the device was removed from the space"
    STRANGER_HERE = "the device does not know this one"
    STRANGER_THERE = "the device is not in the roster"
    DISK_FULL = "the disk of this device is full"
    DISK_FULL_THERE = "the disk of the other device is full"
    STORE_FAILED = "the store of this device could not be read or written"
    REJECTED = "the other device could not use what this one sent"
    STALLED = "nothing moved for minutes"


class StallCause(StrEnum):
    """What a session that stands still waits for."""

    NO_ANSWER = "the device does not answer"
    UNACKNOWLEDGED = "the device does not acknowledge what it was sent"
    WITHHELD = "the device does not send what it says it has"
    PAUSED_HERE = "paused here"
    PAUSED_THERE = "paused there"
    DISK_FULL_HERE = "the disk of this device is full"
    DISK_FULL_THERE = "the disk of the other device is full"
    KEY_MISSING_THERE = "the other device lacks the key of an epoch"
    REFUSED_THERE = "the other device does not accept an envelope"
    KEY_MISSING_HERE = "this device lacks the key of an epoch"
    REFUSED_HERE = "this device does not accept an envelope"
    CHECKPOINT_AWAITED = "the other device is given a checkpoint by another one"
    BUSY_HERE = "the store of this device is busy"


@dataclass(frozen=True, slots=True)
class Greeted:
    """The other device has said hello."""

    run: bytes
    serial: int
    clock_ahead_ms: int
    """By how much its clock is ahead of ours; negative if it is behind."""
    condition: Condition


@dataclass(frozen=True, slots=True)
class Conditioned:
    """The other device takes envelopes, or does not."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Progress:
    """How far both are from having the same; 0 and 0 is in step."""

    lacking_there: int
    """Envelopes held here that the other device has not acknowledged."""
    lacking_here: int
    """Envelopes that the other device holds and this one does not."""


@dataclass(frozen=True, slots=True)
class CheckpointProgress:
    """Parts of a checkpoint that are durable at the receiver."""

    done: int
    total: int
    is_incoming: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Both hold the same envelopes; whether they show the same graph."""

    is_equal: bool
    """False is an alarm: a fault of the program, or of a store."""


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """An envelope was refused: here, or by the other device."""

    device: DeviceId
    """Who wrote the envelope."""
    sequence: int
    refusal: Refusal
    is_here: bool


@dataclass(frozen=True, slots=True)
class Stalled:
    """Something is pending and nothing has moved for a minute."""

    cause: StallCause


@dataclass(frozen=True, slots=True)
class Moving:
    """What had stalled moves again, or is no longer pending."""


News: TypeAlias = (
    Greeted
    | Conditioned
    | Progress
    | CheckpointProgress
    | Compared
    | NotAccepted
    | Stalled
    | Moving
)


@dataclass(frozen=True, slots=True)
class Send:
    """Give a frame to the link."""

    frame: Frame
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Read envelopes of a device that follow `after`; answer with `loaded`.

    At least one, even if it is larger than `max_bytes`; none if they are pruned.
    """

    device: DeviceId
    after: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Check and store envelopes durably; answer with `stored`."""

    envelopes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class LoadStatements:
    """Read statements; answer with `statements_loaded`, in the same order."""

    hashes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class KeepStatements:
    """Check and store statements durably; answer with `statements_kept`."""

    statements: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class NoteAcknowledged:
    """Remember what the peer holds durably: entries that grew."""

    vector: Mapping[DeviceId, int]


@dataclass(frozen=True, slots=True)
class WriteCheckpoint:
    """Make the whole state ready to be sent; answer with `checkpoint_written`."""

    partial: PartialCheckpoint | None
    """What the peer kept of a former one, to go on with if it is still there."""


@dataclass(frozen=True, slots=True)
class LoadCheckpointPart:
    """Read a part of the checkpoint; answer with `checkpoint_part_loaded`."""

    id: bytes
    index: int


@dataclass(frozen=True, slots=True)
class KeepCheckpointPart:
    """Store a part durably; answer with `checkpoint_part_kept`.

    The last part makes the replica's vector jump.
    """

    id: bytes
    index: int
    total: int
    part: bytes


@dataclass(frozen=True, slots=True)
class AskCheckpoint:
    """Say whether the peer may send a checkpoint now; if so call `checkpoint_wished`.

    If not, because another device does, call `checkpoint_possible` after that.
    """


@dataclass(frozen=True, slots=True)
class Hand:
    """Give a frame to who handles it outside of the session."""

    frame: Aside


@dataclass(frozen=True, slots=True)
class Report:
    """Tell whoever watches."""

    news: News


@dataclass(frozen=True, slots=True)
class End:
    """The session is over: send what was said before, then let go of the link."""

    cause: EndCause
    farewell: Farewell | None = None
    """What the other device said, if it ended the session."""


Action: TypeAlias = (
    Send
    | Load
    | Keep
    | LoadStatements
    | KeepStatements
    | NoteAcknowledged
    | WriteCheckpoint
    | LoadCheckpointPart
    | KeepCheckpointPart
    | AskCheckpoint
    | Hand
    | Report
    | End
)
