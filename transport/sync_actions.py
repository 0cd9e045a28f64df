"""What a session asks of its edge, as values.

Specification: docs/protocol/sync.md.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from crdt.ids import DeviceId
from transport.frames import (
    Addresses,
    AnyFrame,
    Condition,
    Forward,
    Presence,
    Wish,
)
from transport.giving import Load, VersionVector
from transport.taking import Keep, KeepPart


class Ending(StrEnum):
    """Why a session is over."""

    SILENT = "no hello"
    FOREIGN_SPACE = "another space"
    VERSION = "another version"
    OUT_OF_PLACE = "a frame out of place"
    MISCOUNTED = "acknowledged what was not given"
    FLOODED = "more than was allowed"
    REMOVED = "removed"
    GOODBYE = "the peer said goodbye"


@dataclass(frozen=True, slots=True)
class Local:
    """What this device holds at one moment, durably."""

    vector: VersionVector
    digest: bytes
    """Of what is shown with this vector; empty while something is not sealed."""
    roster: bytes
    """Fingerprint of the statements."""
    statements: frozenset[bytes]
    """Hashes of them."""
    condition: Condition = Condition.NONE
    wish: Wish = Wish.ENVELOPES


Envelope: TypeAlias = tuple[DeviceId, int, bytes]
"""(device, number, bytes)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame."""

    frame: AnyFrame
    is_bulk: bool = False


@dataclass(frozen=True, slots=True)
class LoadStatements:
    """Read these statements and call `statements_loaded`."""

    hashes: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class KeepStatements:
    """Make statements durable as far as they are acceptable, then call `update`."""

    encoded: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LoadPart:
    """Read the next part of a checkpoint and call `part_loaded`; 0 begins a new one."""

    number: int


@dataclass(frozen=True, slots=True)
class AskCheckpoint:
    """The peer cannot give what is lacked: wish for a checkpoint, then `update`."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer holds this durably."""

    vector: VersionVector
    digest: bytes
    condition: Condition


@dataclass(frozen=True, slots=True)
class Compared:
    """Both hold the same envelopes, and show the same graph or not."""

    is_equal: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """Something moved: what stalled does not any more."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """Something is pending and nothing has moved for so long."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Received:
    """Part `done` of `total` of a checkpoint is here."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Hear:
    """The peer says something that is not about the graph."""

    frame: Presence | Addresses | Forward


@dataclass(frozen=True, slots=True)
class End:
    """Send what was to be sent, then end the session."""

    cause: Ending


Action: TypeAlias = (
    Send
    | Load
    | LoadStatements
    | LoadPart
    | Keep
    | KeepPart
    | KeepStatements
    | AskCheckpoint
    | Acknowledged
    | Compared
    | Moved
    | Stalled
    | Received
    | Hear
    | End
)
