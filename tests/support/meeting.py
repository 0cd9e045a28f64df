"""Devices that know each other, and what they need to make links."""

from dataclasses import dataclass
from typing import Final

from crdt.identity import Identity, new_identity
from crdt.ids import DeviceId
from crdt.keys import hpke_public_key


@dataclass(frozen=True)
class Known:
    """A device of a roster, as far as signalling asks."""

    device: DeviceId
    public_key: bytes
    hpke_key: bytes
    is_removed: bool = False


def identity(number: int) -> Identity:
    """Return one of 256 devices, each of a person of its own."""
    return new_identity(bytes([number]) * 32, bytes([number]) * 68, "Ada", "desk")


def known(me: Identity, *, is_removed: bool = False) -> Known:
    """Return what others know of a device."""
    signing, sealing = me.signing_key().public_key, hpke_public_key(me.hpke_seed)
    return Known(me.device, signing, sealing, is_removed)


LOWER, HIGHER = sorted(map(identity, (1, 2)), key=lambda each: each.device)
"""Two devices; the one with the lower id stays the offerer when both dial."""
STRANGER: Final = identity(3)
ROSTER: Final = {each.device: known(each) for each in (LOWER, HIGHER)}
