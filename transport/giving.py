"""The giving half of a session: what the peer lacks, in order, within a window.

Rules of this file:

1. Of each device envelopes are given in order and without a gap; several devices take
   turns.
2. No more than `WINDOW_BYTES` are given beyond what the peer has dealt with.
3. What the peer did not take is offered again later, never at once.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from crdt.errors import MalformedError
from crdt.ids import DeviceId

WINDOW_BYTES: Final = 4 * 1024 * 1024
LOAD_BYTES: Final = 256 * 1024
"""So much is read at once, so that devices take turns."""
FORWARD_AFTER_MS: Final = 200
"""A third device's envelope may well reach the peer by itself; so long we wait."""
OFFER_AGAIN_MS: Final = 5_000
VersionVector: TypeAlias = Mapping[DeviceId, int]


@dataclass(frozen=True, slots=True)
class Load:
    """Read envelopes of a device after a number, and call `loaded`."""

    device: DeviceId
    after: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class _Given:
    device: DeviceId | None
    """None for a part of a checkpoint."""
    number: int
    size: int


@dataclass(slots=True, eq=False)
class Giving:
    """What was given, and what is to be given next."""

    me: DeviceId
    held_there: dict[DeviceId, int] = field(default_factory=dict)
    """What the peer says that it holds durably."""
    given: dict[DeviceId, int] = field(default_factory=dict)
    """Up to where envelopes were given, or need not be."""
    settled: int = 0
    """How many of the given things the peer has dealt with."""
    loading: DeviceId | None = None
    _in_flight: deque[_Given] = field(default_factory=deque)
    _flight_bytes: int = 0
    _not_before_ms: dict[DeviceId, int] = field(default_factory=dict)
    _turn: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the peer has yet to deal with something."""
        return bool(self._in_flight)

    @property
    def has_room(self) -> bool:
        """Whether the window lets more be given."""
        return self._flight_bytes < WINDOW_BYTES

    def lacking(self, held: VersionVector) -> int:
        """Return how many envelopes held here the peer has not acknowledged."""
        there = self.held_there
        return sum(
            max(0, count - there.get(device, 0)) for device, count in held.items()
        )

    def hear(self, settled: int, vector: VersionVector, now_ms: int) -> bool:
        """Take in what the peer holds; return whether it has moved on.

        Raises `MalformedError` if it claims to have dealt with what it was not given.
        """
        count = settled - self.settled
        if not 0 <= count <= len(self._in_flight):
            detail = (
                "A device acknowledged what it was never given; the link was ended."
            )
            raise MalformedError(detail)
        moved = count > 0 or dict(vector) != self.held_there
        self.settled = settled
        self.held_there = dict(vector)
        for _ in range(count):
            done = self._in_flight.popleft()
            self._flight_bytes -= done.size
            if done.device is not None and vector.get(done.device, 0) < done.number:
                self._not_before_ms[done.device] = now_ms + OFFER_AGAIN_MS
        self._rewind()
        return moved

    def offer_again(self) -> None:
        """Forget what was refused: what stood against it may be over."""
        self._not_before_ms.clear()

    def next_load(self, held: VersionVector, now_ms: int) -> Load | None:
        """Return what to read next, None if nothing can be given now."""
        if self.loading is not None or not self.has_room:
            return None
        waiting = sorted(self._due(held, now_ms))
        if not waiting:
            return None
        self._turn += 1
        device = waiting[self._turn % len(waiting)]
        self.loading = device
        room = WINDOW_BYTES - self._flight_bytes
        return Load(device, self.given.get(device, 0), min(LOAD_BYTES, room))

    def give(self, device: DeviceId, sizes: Sequence[int]) -> None:
        """Take note that the next envelopes of a device are sent."""
        for size in sizes:
            number = self.given.get(device, 0) + 1
            self.given[device] = number
            self._fly(_Given(device, number, size))

    def give_part(self, number: int, size: int) -> None:
        """Take note that a part of a checkpoint is sent."""
        self._fly(_Given(None, number, size))

    def may_push(self, device: DeviceId, number: int) -> bool:
        """Whether an envelope that just became durable can be sent at once."""
        return (
            self.has_room
            and self.loading != device
            and device not in self._not_before_ms
            and self.given.get(device, 0) == number - 1
        )

    def forward_later(self, device: DeviceId, now_ms: int) -> None:
        """Give a third device's envelopes only if the peer does not get them first."""
        self._not_before_ms.setdefault(device, now_ms + FORWARD_AFTER_MS)

    def wake_ms(self, held: VersionVector) -> int | None:
        """Return when something that waits may be given."""
        times = [
            at_ms
            for device, at_ms in self._not_before_ms.items()
            if held.get(device, 0) > self.given.get(device, 0)
        ]
        return min(times, default=None)

    def _due(self, held: VersionVector, now_ms: int) -> list[DeviceId]:
        for device, at_ms in list(self._not_before_ms.items()):
            if at_ms <= now_ms:
                del self._not_before_ms[device]
        return [
            device
            for device, count in held.items()
            if count > self.given.get(device, 0) and device not in self._not_before_ms
        ]

    def _fly(self, given: _Given) -> None:
        self._in_flight.append(given)
        self._flight_bytes += given.size

    def _rewind(self) -> None:
        """Let `given` be what the peer holds and what is on its way to it."""
        flying: dict[DeviceId, int] = {}
        for each in self._in_flight:
            if each.device is not None:
                flying[each.device] = each.number
        devices = self.given.keys() | self.held_there.keys()
        self.given = {
            device: max(self.held_there.get(device, 0), flying.get(device, 0))
            for device in devices
        }
