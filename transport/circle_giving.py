"""What the peer of a circle is given: each item once, within its credit.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. One `Load` waits for its answer, and at most `WINDOW_BYTES` for acknowledgement.
2. What is new goes before what a comparison found; sets go in their order.
3. What the peer has or is being given is not given to it.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import DeviceId
from transport.circle_actions import CircleAction, CircleEnd, Load, Send
from transport.circle_frames import MAX_PAYLOAD_BYTES, Acknowledge, Give
from transport.sorted_names import key_of, name_of

WINDOW_BYTES: Final = 1024 * 1024
LOAD_NAMES: Final = 512
MAX_KNOWN: Final = 16_384


@dataclass(frozen=True, slots=True)
class _Flight:
    kind: ItemKind
    keys: frozenset[bytes]
    sent: int
    """Bytes given in this session up to the end of this payload."""


class Giving:
    """Items that wait for the peer's credit, and those on their way."""

    def __init__(self, me: DeviceId) -> None:
        self.may_give = False
        self.refusals: Final[Counter[ItemKind]] = Counter()
        """Items that the peer did not take."""
        self._start: Final = int.from_bytes(me[:4])
        self._fresh: Final = {kind: dict[bytes, None]() for kind in ItemKind}
        self._found: Final = {kind: dict[bytes, None]() for kind in ItemKind}
        self._known: Final[dict[tuple[ItemKind, bytes], None]] = {}
        self._flights: Final[deque[_Flight]] = deque()
        self._flying: Final[Counter[ItemKind]] = Counter()
        """Items in all flights."""
        self._loading: tuple[ItemKind, tuple[bytes, ...]] | None = None
        self._sent = self._received = self._refused = 0

    @property
    def is_owed(self) -> bool:
        """Whether the peer has to acknowledge something."""
        return self._received < self._sent

    def waiting(self, kind: ItemKind) -> int:
        """Return how many items the peer is still to be given or to acknowledge."""
        waiting = len(self._fresh[kind]) + len(self._found[kind])
        return waiting + self._flying[kind]

    def offer(self, kind: ItemKind, keys: Iterable[bytes]) -> None:
        """Give what is new here, unless the peer has it."""
        fresh = self._fresh[kind]
        fresh.update((key, None) for key in keys if (kind, key) not in self._known)

    def give(self, kind: ItemKind, keys: Sequence[bytes]) -> None:
        """Give what the peer lacks.

        Devices that give the same to one begin at different places, so that what it
        tells them of each other's gifts spares most of them. Statements build on each
        other; their order is the port's.
        """
        start = self._start % max(1, len(keys)) if kind is not ItemKind.STATEMENT else 0
        flying = {
            key for each in self._flights if each.kind is kind for key in each.keys
        }
        for key in (*keys[start:], *keys[:start]):
            if key not in flying:
                self._found[kind][key] = None

    def know(self, kind: ItemKind, keys: Iterable[bytes]) -> None:
        """Take note that the peer has these."""
        for key in keys:
            self._fresh[kind].pop(key, None)
            self._found[kind].pop(key, None)
            self._known.pop((kind, key), None)
            self._known[kind, key] = None
        for known in list(islice(self._known, max(0, len(self._known) - MAX_KNOWN))):
            del self._known[known]

    def unknown(self, kind: ItemKind, keys: Iterable[bytes]) -> list[bytes]:
        """Return those that the peer is not known to have."""
        return [key for key in keys if (kind, key) not in self._known]

    def clear(self) -> None:
        """Give nothing of what waits: it is found again when it is time."""
        for waiting in (*self._fresh.values(), *self._found.values()):
            waiting.clear()

    def pump(self) -> list[CircleAction]:
        """Load what there is credit for."""
        has_room = self._sent - self._received <= WINDOW_BYTES - MAX_PAYLOAD_BYTES
        if not self.may_give or self._loading is not None or not has_room:
            return []
        for kind, waiting in self._queues():
            if waiting:
                limit = None if kind is ItemKind.STATEMENT else LOAD_NAMES
                keys = tuple(islice(waiting, limit))
                self._loading = kind, keys
                return [Load(kind, [name_of(key) for key in keys])]
        return []

    def _queues(self) -> Iterable[tuple[ItemKind, dict[bytes, None]]]:
        yield from self._fresh.items()
        yield from self._found.items()

    def loaded(self, payload: bytes, rest: Iterable[ItemName]) -> list[CircleAction]:
        """Give what a `Load` found; an empty payload says that all of it is gone."""
        if self._loading is None:
            return []
        (kind, asked), self._loading = self._loading, None
        left = set(map(key_of, rest)) if payload else set()
        taken = frozenset(key for key in asked if key not in left)
        for key in taken:
            self._fresh[kind].pop(key, None)
            self._found[kind].pop(key, None)
        if not payload or not self.may_give:
            return []
        self._sent += len(payload)
        self._flights.append(_Flight(kind, taken, self._sent))
        self._flying[kind] += len(taken)
        return [Send(Give(kind, payload), is_bulk=True)]

    def acknowledged(self, frame: Acknowledge) -> CircleEnd | None:
        """Take what the peer has dealt with."""
        if not self._received <= frame.received <= self._sent:
            return CircleEnd.OVERACKNOWLEDGED
        if frame.refused < self._refused:
            return CircleEnd.OVERACKNOWLEDGED
        self._received = frame.received
        kind: ItemKind | None = None
        while self._flights and self._flights[0].sent <= frame.received:
            flight = self._flights.popleft()
            kind = flight.kind
            self._flying[kind] -= len(flight.keys)
            self.know(kind, flight.keys)
        if kind is not None:
            self.refusals[kind] += frame.refused - self._refused
        self._refused = frame.refused
        return None
