"""What a replica holds durably at one moment, as other threads may look at it."""

from dataclasses import dataclass

from crdt.ids import DeviceId
from crdt.roster import Roster
from crdt.vectors import VersionVector


@dataclass(frozen=True, slots=True)
class Holding:
    """A vector, the digest that belongs to it, and who belongs to the space."""

    vector: VersionVector
    digest: bytes
    """Of what is shown; empty while some of it stands in no envelope yet."""
    roster: Roster
    floor: VersionVector | None
    """A node of which no later change is noted is as it was at this vector; None while
    nothing is noted, for nobody else reads."""
    forked: frozenset[DeviceId]
    """Devices that signed two histories."""
    lacks_key: bool
    """Whether this device was not given the key of the present epoch."""
