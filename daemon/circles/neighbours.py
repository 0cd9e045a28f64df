"""With which devices of a circle a device keeps links.

Rules of this file:

1. Who is linked with few hears everything through them: each item travels on. So the
   number of links stays small however many members there are.
2. Both ends come to the same choice from the same devices. If they know different
   ones, whoever is dialled is a guest: see `daemon/circles/connecting.py`.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import Final

from crdt.ids import DeviceId

MAX_FULL: Final = 8
"""Up to so many others, everybody is linked with everybody."""
DISTANCES: Final = (1, 2, 4, 8)
"""How far away the neighbours on the ring are, both ways: paths stay short."""
FEW: Final = 3
"""With fewer links, devices farther away are tried too."""
TRIED: Final = 4
"""So many of these at once."""


def neighbours(me: DeviceId, devices: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Return with whom to be linked among the devices of other members."""
    others = frozenset(devices) - {me}
    if len(others) <= MAX_FULL:
        return others
    ring = sorted(others | {me})
    place = ring.index(me)
    return frozenset(
        ring[(place + step) % len(ring)]
        for distance in DISTANCES
        for step in (distance, -distance)
    )


def farther(
    me: DeviceId,
    devices: Iterable[DeviceId],
    linked: Collection[DeviceId],
    turn: int,
) -> frozenset[DeviceId]:
    """Return whom to try besides, while most neighbours are away.

    Each `turn` tries others, so that whoever is there is found.
    """
    if len(linked) >= FEW:
        return frozenset()
    rest = sorted(frozenset(devices) - {me} - frozenset(linked))
    order = sorted(rest, key=lambda each: hashlib.sha256(me + each).digest())
    if len(order) <= TRIED:
        return frozenset(order)
    start = turn * TRIED % len(order)
    return frozenset((order + order)[start : start + TRIED])
