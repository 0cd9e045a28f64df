"""Discovery: which members of the space are on the local network, and where.

Specification: docs/protocol/discovery.md. Rules of this file:

1. What is told is a difference of states, so a slow listener costs no memory.
2. A network that cannot multicast is a cause that can be told, and tried again.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from transport.addresses import Address, IpAddress
from transport.announcements import (
    PairingOffer,
    Presence,
    Sighting,
    decode_announcement,
    label_of,
    pairing_properties,
    presence_properties,
)
from transport.multicast import Multicast, MulticastCause, MulticastError
from transport.tokens import Ring, expected_tokens, own_token, slot_at

MAX_STRANGERS: Final = 256
"""So many unknown tokens are remembered: one may become known with the next member."""
MAX_INSTANCES: Final = 4
"""So many announcements of one device are believed at a time."""
RETRY_SECONDS: Final = 30.0
LOOK_AT_THE_CLOCK_SECONDS: Final = 30.0
"""The hour may have changed by then, or a person may have set the clock."""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that calls itself this member is at these addresses."""

    device: DeviceId
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """The member is no longer announced here."""

    device: DeviceId


@dataclass(frozen=True, slots=True)
class Silenced:
    """Nothing can be announced or heard here; cause None if it can again."""

    cause: MulticastCause | None


DiscoveryEvent: TypeAlias = Found | Lost | Silenced


class Sightings:
    """What was seen, and whom it means.

    Invariants:
    1. At most `MAX_INSTANCES` announcements of each member are kept, and at most
       `MAX_STRANGERS` of others: strangers cannot push members out.
    2. `take_events` tells each difference once.
    """

    def __init__(self) -> None:
        self._presences: dict[str, Presence] = {}
        self._expected: Mapping[bytes, DeviceId] = {}
        self._told: dict[DeviceId, tuple[Address, ...]] = {}

    def __len__(self) -> int:
        """How many announcements are remembered."""
        return len(self._presences)

    def expect(self, expected: Mapping[bytes, DeviceId]) -> None:
        """Take over by which tokens members are known from now on."""
        self._expected = expected

    def note(self, label: str, sighting: Sighting | None, *, is_alone: bool) -> None:
        """Take in what is announced under `label`, None if it is gone."""
        self._presences.pop(label, None)
        if sighting is None:
            return
        try:
            announcement = decode_announcement(sighting, is_alone=is_alone)
        except MalformedError:
            return
        if isinstance(announcement, Presence) and self._has_room(announcement):
            self._presences[label] = announcement

    def forget(self) -> None:
        """Start anew, as on another network."""
        self._presences.clear()

    def take_events(self) -> list[Found | Lost]:
        """Return what became different since the last call."""
        present = self._members()
        events: list[Found | Lost] = [
            Lost(device) for device in self._told if device not in present
        ]
        events += (
            Found(device, addresses)
            for device, addresses in present.items()
            if self._told.get(device) != addresses
        )
        self._told = present
        return events

    def _has_room(self, presence: Presence) -> bool:
        device = self._expected.get(presence.token)
        owners = [self._expected.get(each.token) for each in self._presences.values()]
        limit = MAX_STRANGERS if device is None else MAX_INSTANCES
        return owners.count(device) < limit

    def _members(self) -> dict[DeviceId, tuple[Address, ...]]:
        found: defaultdict[DeviceId, set[Address]] = defaultdict(set)
        for presence in self._presences.values():
            device = self._expected.get(presence.token)
            if device is not None:
                found[device].update(presence.addresses)
        return {device: tuple(sorted(found[device])) for device in sorted(found)}


class Discovery:
    """Announces this device while it is open, and tells which members are near."""

    def __init__(
        self,
        port: int,
        ring: Callable[[], Ring],
        local: Callable[[], Sequence[IpAddress]],
        clock_ms: Callable[[], int],
    ) -> None:
        """Take the endpoint's port, and whom to ask who is known, where, and when.

        `ring` is asked at the change of each hour and after `refresh`, `local` each
        time the network is opened.
        """
        self._port = port
        self._ring = ring
        self._local = local
        self._clock_ms = clock_ms
        self._sightings = Sightings()
        self._offers: dict[str, int] = {}
        self._cause: MulticastCause | None = None
        self._told_cause: MulticastCause | None = None
        self._news = asyncio.Event()
        self._renewal = asyncio.Event()
        self._refreshing = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._running = self._tasks.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            self._running.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    def renew(self) -> None:
        """Open the network anew: addresses changed, or the machine slept."""
        self._renewal.set()

    def refresh(self) -> None:
        """Ask `ring` again: members or keys changed."""
        self._refreshing.set()

    @contextmanager
    def offering(self, nameplate: int, randomness: bytes) -> Iterator[None]:
        """Announce, while open, that a device waits to be paired.

        `randomness` is 16 fresh bytes; they are public.
        """
        label = label_of(randomness)
        pairing_properties(nameplate)
        self._offers[label] = nameplate
        self._refreshing.set()
        try:
            yield
        finally:
            del self._offers[label]
            self._refreshing.set()

    async def next_events(self) -> Sequence[DiscoveryEvent]:
        """Wait until something is different from what was told, and return it."""
        while True:
            await self._news.wait()
            self._news.clear()
            events: list[DiscoveryEvent] = [*self._sightings.take_events()]
            if self._cause != self._told_cause:
                self._told_cause = self._cause
                events.append(Silenced(self._cause))
            if events:
                return events

    async def _run(self) -> None:
        while True:
            local = self._local()
            try:
                async with Multicast(local) as multicast:
                    self._tell(None)
                    await self._serve(multicast, local)
            except* MulticastError as failed:
                self._tell(_first_cause(failed))
                await _wait(self._renewal, RETRY_SECONDS)
            self._renewal.clear()
            self._sightings.forget()
            self._news.set()

    async def _serve(self, multicast: Multicast, local: Sequence[IpAddress]) -> None:
        """Announce and listen until the network is to be opened anew."""
        async with asyncio.TaskGroup() as tasks:
            loops = (
                tasks.create_task(self._announce(multicast, local)),
                tasks.create_task(self._listen(multicast, local)),
            )
            await self._renewal.wait()
            for each in loops:
                each.cancel()

    async def _announce(self, multicast: Multicast, local: Sequence[IpAddress]) -> None:
        """Keep announced what is to be, and expected who is."""
        announced: set[str] = set()
        while True:
            slot, known = slot_at(self._clock_ms()), self._ring()
            self._sightings.expect(expected_tokens(known, slot))
            self._news.set()
            wanted = {label_of(own_token(known, slot)): presence_properties()}
            for label, nameplate in self._offers.items():
                wanted[label] = pairing_properties(nameplate)
            for label in wanted.keys() - announced:
                await multicast.announce(label, self._port, local, wanted[label])
            for label in announced - wanted.keys():
                await multicast.withdraw(label)
            announced = set(wanted)
            await _wait(self._refreshing, LOOK_AT_THE_CLOCK_SECONDS)
            self._refreshing.clear()

    async def _listen(self, multicast: Multicast, local: Sequence[IpAddress]) -> None:
        is_alone = _is_alone(local)
        while True:
            for label, sighting in (await multicast.next_changes()).items():
                self._sightings.note(label, sighting, is_alone=is_alone)
            self._news.set()

    def _tell(self, cause: MulticastCause | None) -> None:
        self._cause = cause
        self._news.set()


@asynccontextmanager
async def pairing_offers(
    nameplate: int, local: Sequence[IpAddress]
) -> AsyncIterator[Callable[[], Awaitable[tuple[Address, ...]]]]:
    """Listen for devices that wait to be paired under `nameplate`.

    Gives a function that waits for the next one's addresses. Two persons may use one
    number at a time: then only the rest of the code tells which is meant. Raises
    `MulticastError`.
    """
    async with Multicast(local) as multicast:

        async def next_offer() -> tuple[Address, ...]:
            while not waiting:
                for sighting in (await multicast.next_changes()).values():
                    addresses = _offered(sighting, nameplate, local)
                    if addresses and addresses not in told:
                        waiting.append(addresses)
                        told.add(addresses)
            return waiting.popleft()

        waiting: deque[tuple[Address, ...]] = deque()
        told: set[tuple[Address, ...]] = set()
        yield next_offer


def _offered(
    sighting: Sighting | None, nameplate: int, local: Sequence[IpAddress]
) -> tuple[Address, ...] | None:
    """Return where a sighting offers to pair under `nameplate`, None if it does not."""
    if sighting is None:
        return None
    try:
        announcement = decode_announcement(sighting, is_alone=_is_alone(local))
    except MalformedError:
        return None
    if isinstance(announcement, PairingOffer) and announcement.nameplate == nameplate:
        return announcement.addresses
    return None


def _is_alone(local: Sequence[IpAddress]) -> bool:
    """Whether this machine is on no network but its own."""
    return all(ip.is_loopback for ip in local)


def _first_cause(group: BaseExceptionGroup[MulticastError]) -> MulticastCause:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.cause if isinstance(error, MulticastError) else MulticastCause.BROKEN


async def _wait(event: asyncio.Event, at_most_seconds: float) -> None:
    """Wait for the event, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_seconds):
            await event.wait()
