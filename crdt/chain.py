"""The chain of a device's envelopes: each names the hash of the one before.

Specification: docs/protocol/envelope.md. A device writes one chain per space, so two
contents under one number prove that it, or a copy of its keys, broke the rules.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from crdt.envelope import NO_HASH, Envelope, Header, envelope_hash
from crdt.ids import DeviceId, SpaceId


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last envelope that a replica holds of one device in one space."""

    sequence: int
    hash: bytes


EMPTY_CHAIN: Final = ChainHead(0, NO_HASH)


class Arrival(Enum):
    """How an envelope fits what is already held of its device."""

    NEXT = auto()
    """It continues the chain."""
    DUPLICATE = auto()
    """It is the head itself, once more."""
    EARLIER = auto()
    """Its number is below the head: compare with the hash stored under that number."""
    GAP = auto()
    """Envelopes between the head and this one are missing: it has to wait."""
    FORK = auto()
    """If its signature fits, the device has signed two histories: keep it as proof."""


def check_next(head: ChainHead, envelope: Envelope) -> Arrival:
    """Return how an envelope fits behind `head`, the head of its device's chain."""
    sequence = envelope.header.sequence
    if sequence == head.sequence + 1:
        return Arrival.NEXT if envelope.header.previous == head.hash else Arrival.FORK
    if sequence > head.sequence:
        return Arrival.GAP
    if sequence < head.sequence:
        return Arrival.EARLIER
    is_same = envelope_hash(envelope.encoded) == head.hash
    return Arrival.DUPLICATE if is_same else Arrival.FORK


def next_header(
    head: ChainHead, space: SpaceId, device: DeviceId, epoch_key_id: bytes
) -> Header:
    """Return the header of the envelope that this device writes after `head`."""
    return Header(space, device, head.sequence + 1, head.hash, epoch_key_id)


def head_after(envelope: Envelope) -> ChainHead:
    """Return the head of a chain that ends with this envelope."""
    return ChainHead(envelope.header.sequence, envelope_hash(envelope.encoded))
