"""Who can be linked with in a circle: the devices of members, by their cards.

Rule: a card counts as long as its author is a member; those of this person count even
before the roster is known here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from crdt.circle_card import Card
from crdt.ids import AuthorKey, DeviceId
from crdt.keys import device_id


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of a member, as signalling and dialling need it."""

    device: DeviceId
    author: AuthorKey
    public_key: bytes
    hpke_key: bytes
    addresses: tuple[str, ...]
    is_removed: bool = False


def directory(
    cards: Iterable[Card], present: Container[AuthorKey], me: AuthorKey
) -> Mapping[DeviceId, KnownDevice]:
    """Return the devices of those who are members now, and of this person."""
    found = {}
    for card in cards:
        if card.author == me or card.author in present:
            device = device_id(card.device_key)
            found[device] = KnownDevice(
                device,
                card.author,
                card.device_key,
                card.hpke_key,
                card.addresses,
            )
    return found
