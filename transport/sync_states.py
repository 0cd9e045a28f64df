"""What a peer may say when, and what either side tells the other at the end.

Specification: docs/protocol/sync.md, whose table is this one.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, TypeAlias

from transport.frames import (
    Acknowledge,
    Addresses,
    Bye,
    Changed,
    CheckpointOffer,
    CheckpointPart,
    CheckpointWish,
    Circles,
    Envelopes,
    Farewell,
    Forward,
    Frame,
    Hello,
    Presence,
    Refused,
    RosterHashes,
    Shown,
    Statements,
    StatementsKept,
)
from transport.sync_actions import EndCause


class State(Enum):
    """What the peer may say next."""

    GREETING = auto()
    """It has not said hello."""
    AGREEING = auto()
    """The rosters differed, and not all that it has to say of its own came yet."""
    SYNCING = auto()
    ENDED = auto()


class Event(Enum):
    """What moves a session without a frame."""

    AGREED = auto()
    """All statements of the peer are durable here, or the rosters were the same."""


Cue: TypeAlias = type[Frame] | Event

TRANSITIONS: Final[Mapping[tuple[State, Cue], State]] = {
    (State.GREETING, Hello): State.AGREEING,
    (State.GREETING, Bye): State.ENDED,
    (State.AGREEING, Event.AGREED): State.SYNCING,
    (State.AGREEING, Acknowledge): State.AGREEING,
    (State.AGREEING, RosterHashes): State.AGREEING,
    (State.AGREEING, Statements): State.AGREEING,
    (State.AGREEING, StatementsKept): State.AGREEING,
    (State.AGREEING, Changed): State.AGREEING,
    (State.AGREEING, Presence): State.AGREEING,
    (State.AGREEING, Addresses): State.AGREEING,
    (State.AGREEING, Forward): State.AGREEING,
    (State.AGREEING, Circles): State.AGREEING,
    (State.AGREEING, Bye): State.ENDED,
    (State.SYNCING, Acknowledge): State.SYNCING,
    (State.SYNCING, RosterHashes): State.SYNCING,
    (State.SYNCING, Statements): State.SYNCING,
    (State.SYNCING, StatementsKept): State.SYNCING,
    (State.SYNCING, Envelopes): State.SYNCING,
    (State.SYNCING, Refused): State.SYNCING,
    (State.SYNCING, CheckpointOffer): State.SYNCING,
    (State.SYNCING, CheckpointWish): State.SYNCING,
    (State.SYNCING, CheckpointPart): State.SYNCING,
    (State.SYNCING, Shown): State.SYNCING,
    (State.SYNCING, Changed): State.SYNCING,
    (State.SYNCING, Presence): State.SYNCING,
    (State.SYNCING, Addresses): State.SYNCING,
    (State.SYNCING, Forward): State.SYNCING,
    (State.SYNCING, Circles): State.SYNCING,
    (State.SYNCING, Bye): State.ENDED,
}

FAREWELLS: Final = {
    EndCause.STOPPED: Farewell.CLOSING,
    EndCause.REPLACED: Farewell.REPLACED,
    EndCause.FOREIGN_SPACE: Farewell.FOREIGN_SPACE,
    EndCause.VERSION: Farewell.VERSION,
    EndCause.FORKED: Farewell.FORKED,
    EndCause.ROLLED_BACK_HERE: Farewell.ROLLED_BACK,
    EndCause.ROLLED_BACK_THERE: Farewell.ROLLED_BACK,
    EndCause.REMOVED_HERE: Farewell.CLOSING,
    EndCause.REMOVED_THERE: Farewell.REMOVED,
    EndCause.STRANGER_THERE: Farewell.STRANGER,
    EndCause.DISK_FULL: Farewell.DISK_FULL,
    EndCause.STALLED: Farewell.STALLED,
}
"""What the peer is told; of every other cause, that it broke the rules."""

MEANINGS: Final = {
    Farewell.REPLACED: EndCause.REPLACED,
    Farewell.REMOVED: EndCause.REMOVED_HERE,
    Farewell.FORKED: EndCause.COPIED_HERE,
    Farewell.STRANGER: EndCause.STRANGER_HERE,
    Farewell.VERSION: EndCause.VERSION,
    Farewell.FOREIGN_SPACE: EndCause.FOREIGN_SPACE,
    Farewell.BROKEN_RULES: EndCause.REJECTED,
    Farewell.DISK_FULL: EndCause.DISK_FULL_THERE,
    Farewell.STALLED: EndCause.STALLED,
}
"""What a farewell means to who is told it; every other, that the peer left."""
