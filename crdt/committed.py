"""What a commit comes to: for who asked, who watches, and other devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from crdt.arrival import Cause, Refusal
from crdt.errors import RefusedError
from crdt.events import Event
from crdt.execution import Outcome
from crdt.holding import Holding
from crdt.ids import DeviceId
from crdt.payload import BodyChange
from crdt.vectors import VersionVector


@dataclass(frozen=True, slots=True)
class Committed:
    """A durable group: what became of its commands, and what to tell whom."""

    outcomes: Sequence[Outcome | RefusedError]
    first_event: int
    events: Sequence[Event]
    """For watchers."""
    advanced: Sequence[tuple[DeviceId, int, bytes]] = ()
    """Envelopes (device, sequence, bytes) that can be given to other devices now."""
    bodies: Sequence[BodyChange] = ()
    """What became durable of bodies, from whomever it came."""
    holding: Holding | None = None
    """What is held after it."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What became of other devices' envelopes."""

    committed: Committed
    vector: VersionVector
    """What is held after it, durably."""
    refused: Sequence[Refusal]


@dataclass(frozen=True, slots=True)
class PartReception:
    """What became of a part of a checkpoint."""

    committed: Committed
    cause: Cause | None
    """Why it was refused; None if it is durable."""
    is_finished: bool
    """Whether it was the last: everything that the header names is held."""
