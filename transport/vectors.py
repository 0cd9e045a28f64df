"""Version vectors: how many envelopes of each device a replica holds.

Specification: docs/protocol/sync.md. A device that is absent counts as 0.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from crdt.ids import DeviceId

VersionVector: TypeAlias = Mapping[DeviceId, int]


def advances(old: VersionVector, new: VersionVector) -> dict[DeviceId, int]:
    """Return the entries of `new` that are larger than in `old`."""
    return {
        device: count for device, count in new.items() if count > old.get(device, 0)
    }


def lacks(held: VersionVector, other: VersionVector) -> int:
    """Return how many envelopes that `other` counts are missing from `held`."""
    return sum(
        count - held.get(device, 0) for device, count in advances(held, other).items()
    )


def are_equal(left: VersionVector, right: VersionVector) -> bool:
    """Whether both count the same envelopes."""
    return not advances(left, right) and not advances(right, left)


def devices_from(
    vector: VersionVector, after: DeviceId | None
) -> Iterator[tuple[DeviceId, int]]:
    """Yield the entries in the order of ids, beginning behind `after`, once around."""
    entries = sorted(vector.items())
    behind = [entry for entry in entries if after is not None and entry[0] > after]
    yield from behind
    yield from entries[: len(entries) - len(behind)]


def vector_hash(vector: VersionVector) -> bytes:
    """Return SHA-256 over the sorted entries that are not 0."""
    entries = sorted(entry for entry in vector.items() if entry[1])
    return hashlib.sha256(msgspec.msgpack.encode(entries)).digest()
