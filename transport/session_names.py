"""Names of sessions, and which of two with the same peer goes on.

Both devices have to choose alike, or each would end what the other keeps.
"""

from dataclasses import dataclass
from typing import Self

from crdt.ids import DeviceId, SpaceId
from transport.sync_actions import Greeted


@dataclass(frozen=True, slots=True)
class SessionName:
    """What this side tells of a session when it says hello."""

    space: SpaceId
    me: DeviceId
    peer: DeviceId
    run: bytes
    """8 random bytes, made when this process started."""
    serial: int
    """Counts the sessions of this process."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Both names of a session that was greeted, the same on both devices."""

    runs: tuple[bytes, bytes]
    """Of the device with the lower id, and of the other."""
    serials: tuple[int, int]

    @classmethod
    def of(cls, name: SessionName, greeted: Greeted) -> Self:
        """Return how both devices call a session."""
        here, there = (name.run, name.serial), (greeted.run, greeted.serial)
        lower, higher = (here, there) if name.me < name.peer else (there, here)
        return cls((lower[0], higher[0]), (lower[1], higher[1]))

    def supersedes(self, older: Self) -> bool:
        """Whether this session goes on, and `older`, greeted before it here, ends.

        If one of the processes is another one, the former session is dead. Else the
        device with the lower id has counted both: the later one has its faith.
        """
        return self.runs != older.runs or self.serials > older.serials
