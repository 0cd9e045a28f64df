"""Who can be linked with in a circle: the devices of members, by their cards.

Rule: a card counts as long as its author is a member; those of this person count even
before the roster is known here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from crdt.circle_card import Card
from crdt.ids import AuthorKey, DeviceId

Directory = Mapping[DeviceId, "KnownDevice"]


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
) -> Directory:
    """Return the devices of those who are members now, and of this person."""
    return {
        card.device: KnownDevice(
            card.device, card.author, card.device_key, card.hpke_key, card.addresses
        )
        for card in sorted(cards, key=lambda each: (each.sequence, each.id))
        if card.author == me or card.author in present
    }


def with_leaving(
    known: Directory, former: Directory, leaving: Iterable[DeviceId]
) -> Directory:
    """Return a directory in which those who go stand as removed, for their farewell."""
    gone = {
        device: replace(former[device], is_removed=True)
        for device in leaving
        if device in former
    }
    return {**gone, **known}
