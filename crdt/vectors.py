"""Version vectors: what they say together about what may go and what is safe."""

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from crdt.ids import DeviceId

VersionVector: TypeAlias = Mapping[DeviceId, int]
"""How many envelopes of each device are held."""
EMPTY_VECTOR: Final[VersionVector] = {}


def covers(vector: VersionVector, other: VersionVector) -> bool:
    """Whether whoever holds `vector` holds all of `other`."""
    return all(vector.get(device, 0) >= held for device, held in other.items())


def missing(vector: VersionVector, other: VersionVector) -> int:
    """Return how many envelopes of `vector` whoever holds `other` lacks."""
    return sum(max(0, held - other.get(device, 0)) for device, held in vector.items())


def joined(vector: VersionVector, other: VersionVector) -> VersionVector:
    """Return what is held by one or the other."""
    return {
        device: max(vector.get(device, 0), other.get(device, 0))
        for device in {*vector, *other}
    }


def held_by_all(
    vector: VersionVector,
    readers: Collection[DeviceId],
    held: Mapping[DeviceId, VersionVector],
) -> VersionVector:
    """Return how much of `vector` every one of the readers holds."""
    return {
        device: min(
            [
                own,
                *(held.get(reader, EMPTY_VECTOR).get(device, 0) for reader in readers),
            ]
        )
        for device, own in vector.items()
    }


def safe_on(
    change: tuple[DeviceId, int] | None,
    floor: VersionVector | None,
    held: Mapping[DeviceId, VersionVector],
) -> int:
    """Return how many other devices hold a node as it is here.

    `change` is (device, sequence) of the envelope of its last change, the sequence 0
    while it is not sealed; None if it did not change since `floor`.
    """
    if floor is None or (change is not None and change[1] == 0):
        return 0
    wanted = floor if change is None else {**floor, change[0]: change[1]}
    return sum(covers(vector, wanted) for vector in held.values())
