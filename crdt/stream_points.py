"""Points of a history, and what hours and days gather of them."""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

Bucket: TypeAlias = Literal["raw", "hour", "day"]
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class Point(msgspec.Struct, frozen=True):
    """One point of a stream; of an hour or a day, the mean over it at its start."""

    time_ms: int
    atp: float
    attention: float
    """0 to 1, see `crdt.energy.attention`."""
    type: str
    """What happened: `pulse`."""
    count: int = 1
    """How often it happened."""


class Sums(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What happened to a node in one hour or day, added up."""

    start_ms: int
    type: str
    count: int
    atp: float
    attention: float


def means(sums: Iterable[Sums]) -> list[Point]:
    """Return sums as points, in order; those of one time and kind become one."""
    added: dict[tuple[int, str], Sums] = {}
    for each in sums:
        place = each.start_ms, each.type
        other = added.get(place, Sums(*place, 0, 0.0, 0.0))
        added[place] = Sums(
            *place,
            each.count + other.count,
            each.atp + other.atp,
            each.attention + other.attention,
        )
    return [
        Point(
            start, each.atp / each.count, each.attention / each.count, kind, each.count
        )
        for (start, kind), each in sorted(added.items())
    ]
