"""Where devices may be reached: hints of many sources, few of them kept.

Rule: an address is only ever dialled, and whoever answers has to prove which device it
is; so a false one costs time, and nothing else. At most `MAX_OF_ONE` are kept of each
device: those that led to a link are the last to go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from crdt.errors import InvalidError
from crdt.ids import DeviceId
from crdt.known_addresses import KnownAddresses
from transport.addresses import Address, dialling_order, parse_address

MAX_OF_ONE: Final = 8
MAX_TOLD: Final = 4
"""So many addresses of one device are told to others."""


@dataclass(slots=True)
class _Entry:
    last_ms: int
    was_linked: bool = False


@dataclass(slots=True)
class AddressBook:
    """Addresses by device."""

    _known: dict[DeviceId, dict[Address, _Entry]] = field(default_factory=dict)
    is_changed: bool = False
    """Whether it differs from what is stored."""

    @classmethod
    def of(cls, stored: KnownAddresses) -> "AddressBook":
        """Return the book as it was stored; what does not parse is left out."""
        book = cls()
        for device, addresses in stored.items():
            for text, last_ms in addresses:
                try:
                    entry = _Entry(last_ms, was_linked=True)
                    book._known.setdefault(device, {})[parse_address(text)] = entry
                except InvalidError:
                    continue
        return book

    def learn(
        self, device: DeviceId, addresses: Iterable[Address], now_ms: int
    ) -> bool:
        """Take in where a device may be; return whether that is news."""
        known = self._known.setdefault(device, {})
        before = set(known)
        for address in addresses:
            known.setdefault(address, _Entry(now_ms)).last_ms = now_ms
        while len(known) > MAX_OF_ONE:
            del known[min(known, key=lambda each: _worth(known[each]))]
        is_news = not known.keys() <= before
        self.is_changed |= is_news
        return is_news

    def led_to_link(self, device: DeviceId, address: Address, now_ms: int) -> None:
        """Take note that an address led to the device."""
        self.learn(device, (address,), now_ms)
        entry = self._known[device].get(address)
        if entry is not None:
            entry.was_linked = True
            self.is_changed = True

    def of_device(self, device: DeviceId) -> tuple[Address, ...]:
        """Return the addresses of a device, those to try first in front."""
        known = self._known.get(device, {})
        newest = sorted(known, key=lambda each: -known[each].last_ms)
        linked = [each for each in newest if known[each].was_linked]
        return dialling_order(newest, linked)

    def told(self, devices: Iterable[DeviceId]) -> list[tuple[DeviceId, str]]:
        """Return what to tell others of these devices."""
        return [
            (device, str(address))
            for device in devices
            for address in self.of_device(device)[:MAX_TOLD]
        ]

    def stored(self) -> Mapping[DeviceId, list[tuple[str, int]]]:
        """Return what to keep from run to run."""
        return {
            device: [(str(address), entry.last_ms) for address, entry in known.items()]
            for device, known in self._known.items()
        }


def _worth(entry: _Entry) -> tuple[bool, int]:
    return entry.was_linked, entry.last_ms
