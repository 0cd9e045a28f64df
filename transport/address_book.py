"""Where devices may be reached: what is believed of it, told to others, and kept.

Rules of this file:

1. An address is only ever dialled, and whoever answers has to prove which device it is:
   a false one costs time, and nothing else. So all of them are bounded, and expire.
2. Only what this device knows itself is told to others. Hearsay is not passed on, or
   addresses that lead nowhere would go round for ever.
3. Others name addresses only, never names: to look one up would tell a third party. Nor
   do they name this machine, unless it has no network at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

from crdt.errors import InvalidError
from crdt.ids import DeviceId
from transport.addresses import Address, Reach, dialling_order, parse_address

Stored: TypeAlias = Mapping[DeviceId, Sequence[tuple[str, int]]]
"""By device: (address, when it last proved of use or was learnt, in ms since 1970)."""

MAX_OF_ONE: Final = 8
"""So many addresses of one device are kept."""
MAX_HEARSAY: Final = 3
"""So many of them others may name."""
MAX_TOLD: Final = 4
"""So many addresses of one device are told to others."""
_DAY_MS: Final = 24 * 60 * 60 * 1000


class Origin(IntEnum):
    """How an address was learnt; the higher, the longer it is kept."""

    HEARSAY = 0
    """Another device says that it is there."""
    KNOWN = 1
    """It said so itself, over its link; or it was seen; or a person said so."""
    LINKED = 2
    """It led to a link."""


KEPT_MS: Final = {
    Origin.HEARSAY: _DAY_MS,
    Origin.KNOWN: 30 * _DAY_MS,
    Origin.LINKED: 90 * _DAY_MS,
}
"""How long an address is kept that is not learnt again."""


@dataclass(frozen=True, slots=True)
class _Entry:
    origin: Origin
    last_ms: int


@dataclass(slots=True)
class AddressBook:
    """Addresses by device. Times are milliseconds since 1970."""

    _known: dict[DeviceId, dict[Address, _Entry]] = field(default_factory=dict)
    is_changed: bool = False
    """Whether it differs from what is stored."""

    @classmethod
    def of(cls, stored: Stored) -> "AddressBook":
        """Return the book as it was stored; what does not parse is left out."""
        book = cls()
        for device, addresses in stored.items():
            for text, last_ms in addresses:
                try:
                    address = parse_address(text)
                except InvalidError:
                    continue
                book._enter(device, address, _Entry(Origin.KNOWN, last_ms))
        return book

    def learn(
        self,
        device: DeviceId,
        addresses: Iterable[Address],
        now_ms: int,
        origin: Origin = Origin.KNOWN,
    ) -> bool:
        """Take in where a device may be; return whether that is news."""
        self._expire(device, now_ms)
        before = self._known.get(device, {}).copy()
        for address in addresses:
            entry = before.get(address)
            # Who knows less cannot refresh it: two that tell each other would for ever.
            if entry is None or origin >= entry.origin:
                self._enter(device, address, _Entry(origin, now_ms))
        known = self._known.get(device, {})
        self.is_changed |= origin > Origin.HEARSAY and known != before
        return not known.keys() <= before.keys()

    def hear(
        self,
        teller: DeviceId,
        told: Iterable[tuple[DeviceId, str]],
        now_ms: int,
        *,
        is_alone: bool,
    ) -> set[DeviceId]:
        """Take in what a linked device says; return of whom that is news.

        What it says of itself it has to know. The caller leaves out who is no member.
        `is_alone` tells that this machine is on no network but its own.
        """
        news = set()
        for device, text in told:
            origin = Origin.KNOWN if device == teller else Origin.HEARSAY
            address = _believable(text, is_alone=is_alone)
            if address is not None and self.learn(device, [address], now_ms, origin):
                news.add(device)
        return news

    def of_device(self, device: DeviceId, now_ms: int) -> tuple[Address, ...]:
        """Return the addresses of a device, those to try first in front."""
        self._expire(device, now_ms)
        known = self._known.get(device, {})
        newest = sorted(known, key=lambda each: _worth(known[each]), reverse=True)
        linked = [each for each in newest if known[each].origin is Origin.LINKED]
        return dialling_order(newest, linked)

    def told(
        self, devices: Iterable[DeviceId], now_ms: int
    ) -> list[tuple[DeviceId, str]]:
        """Return what to tell others of these devices."""
        return [
            (device, str(address))
            for device in devices
            for address in self._first_hand(device, now_ms)[:MAX_TOLD]
            if address.ip is not None
        ]

    def stored(self, now_ms: int) -> Stored:
        """Return what to keep from run to run: hearsay is told anew."""
        return {
            device: [
                (str(address), self._known[device][address].last_ms)
                for address in self._first_hand(device, now_ms)
            ]
            for device in self._known
        }

    def _first_hand(self, device: DeviceId, now_ms: int) -> list[Address]:
        return [
            address
            for address in self.of_device(device, now_ms)
            if self._known[device][address].origin is not Origin.HEARSAY
        ]

    def _enter(self, device: DeviceId, address: Address, entry: _Entry) -> None:
        """Write down an entry, and let go of the least of too many."""
        known = self._known.setdefault(device, {})
        known[address] = entry
        hearsay = [each for each in known if known[each].origin is Origin.HEARSAY]
        crowd = hearsay if len(hearsay) > MAX_HEARSAY else list(known)
        if len(hearsay) > MAX_HEARSAY or len(known) > MAX_OF_ONE:
            del known[min(crowd, key=lambda each: _worth(known[each]))]

    def _expire(self, device: DeviceId, now_ms: int) -> None:
        known = self._known.get(device, {})
        for address, entry in list(known.items()):
            if now_ms - entry.last_ms >= KEPT_MS[entry.origin]:
                del known[address]


def _worth(entry: _Entry) -> tuple[Origin, int]:
    return entry.origin, entry.last_ms


def _believable(text: str, *, is_alone: bool) -> Address | None:
    """Return an address that another device names, None if it is not to be dialled."""
    try:
        address = parse_address(text)
    except InvalidError:
        return None
    if address.ip is None or (address.reach is Reach.MACHINE and not is_alone):
        return None
    return address
