"""From stars to groups: steps 5 to 7 of the rule.

Specification: docs/protocol/consensus.md. Rules of this file:

1. What is remembered from one time to the next is remembered by all that it follows
   from: representatives give a centroid, a centroid gives who is near it.
2. What was not needed this time is forgotten, so memory follows the present result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from consensus.exact import Floats, Numbers, centre, closeness
from consensus.field import ROWS_AT_ONCE, Field, Indices
from consensus.neighbours import Neighbours
from consensus.rule import LEAST, Thresholds
from consensus.stars import Stars

NO_GROUP: Final = -1
_SEEDS_AT_ONCE: Final = 256
_ITSELF: Final = 2**31
_Column: TypeAlias = tuple[Indices, Indices]
"""Who may join a group, and how close each is."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A star with enough authors."""

    star: int
    """Its centre."""
    representatives: tuple[int, ...]
    """One contribution of each author."""
    total: Numbers
    """The sum of their units."""
    centroid: Numbers


@dataclass(frozen=True, slots=True)
class Group:
    """Seeds that are one."""

    core: tuple[int, ...]
    """The representatives of all its seeds, by number."""
    centroid: Numbers


class Groups:
    """The groups that the stars of a field make."""

    def __init__(
        self,
        field: Field,
        neighbours: Neighbours,
        stars: Stars,
        thresholds: Thresholds,
    ) -> None:
        self._field = field
        self._neighbours = neighbours
        self._stars = stars
        self._thresholds = thresholds
        self._seeds: dict[int, Seed] = {}
        self._columns: dict[bytes, _Column] = {}
        self._width = 0
        """How many numbers the columns tell of."""

    def present(self) -> tuple[Sequence[Group], Indices]:
        """Return the groups in their order, and which one each contribution joins."""
        for star in self._stars.changed:
            self._field.step()
            self._choose(star)
        self._stars.changed.clear()
        groups = self._merge()
        self._fill_columns(groups)
        return groups, self._join(groups)

    def _choose(self, star: int) -> None:
        """Choose the representatives of a star anew."""
        best: dict[int, tuple[int, bytes, int]] = {}
        authors = self._field.authors
        for member in self._stars.members.get(star, ()):
            author = int(authors[member])
            # None is more similar to the centre than the centre itself, and of equal
            # vectors it is still the one that speaks for its author.
            closest = (
                (-self._stars.similarity(member, star), self._field.id(member), member)
                if member != star
                else (-_ITSELF, b"", star)
            )
            best[author] = min(best.get(author, closest), closest)
        self._seeds.pop(star, None)
        if len(best) >= LEAST:
            representatives = tuple(sorted(member for _, _, member in best.values()))
            total = self._total(representatives)
            self._seeds[star] = Seed(star, representatives, total, centre(total))

    def _total(self, numbers: Sequence[int]) -> Numbers:
        # A sum of up to 2 ** 38 units of length 2 ** 14 is exact in a float.
        rows = self._field.units(np.array(numbers, np.int32))
        total: Numbers = rows.sum(axis=0).astype(np.int64)
        return total

    def _merge(self) -> Sequence[Group]:
        seeds = sorted(
            self._seeds.values(),
            key=lambda seed: (
                -len(seed.representatives),
                self._neighbours.rank(seed.star),
            ),
        )
        is_used = np.zeros(len(seeds), np.bool_)
        groups = []
        for at, is_close in enumerate(self._close(seeds)):
            self._field.step()
            if is_used[at]:
                continue
            joins = is_close & ~is_used
            joins[at] = True
            is_used |= joins
            merged = [seeds[each] for each in np.flatnonzero(joins)]
            if len(merged) == 1:
                groups.append(Group(merged[0].representatives, merged[0].centroid))
                continue
            core = sorted(each for one in merged for each in one.representatives)
            total = np.sum([one.total for one in merged], axis=0)
            groups.append(Group(tuple(core), centre(total)))
        return groups

    def _close(self, seeds: Sequence[Seed]) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield for each seed which ones are close enough to be one with it."""
        centroids = _floats([seed.centroid for seed in seeds])
        for start in range(0, len(seeds), _SEEDS_AT_ONCE):
            block = centroids[start : start + _SEEDS_AT_ONCE]
            yield from closeness(block, centroids) >= self._thresholds.merge

    def _fill_columns(self, groups: Sequence[Group]) -> None:
        """Find who is close to each group, as far as it is not known yet."""
        width = len(self._field)
        keys = [group.centroid.tobytes() for group in groups]
        known = [key for key in dict.fromkeys(keys) if key in self._columns]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._columns]
        empty = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        columns = {key: self._columns[key] for key in known} | dict.fromkeys(
            fresh, empty
        )
        self._extend(columns, known, self._width, width)
        self._extend(columns, fresh, 0, width)
        self._columns = columns
        self._width = width

    def _extend(
        self, columns: dict[bytes, _Column], keys: Sequence[bytes], start: int, end: int
    ) -> None:
        """Add to columns those of the numbers from `start` to `end` that are close."""
        if not keys or start == end:
            return
        centroids = _floats([np.frombuffer(key, np.int64) for key in keys])
        found: list[list[_Column]] = [[columns[key]] for key in keys]
        for first in range(start, end, ROWS_AT_ONCE):
            self._field.step()
            block = slice(first, min(first + ROWS_AT_ONCE, end))
            close = closeness(centroids, self._field.units(block))
            which, member = np.nonzero(close >= self._thresholds.join)
            value = close[which, member].astype(np.int32)
            bounds = np.searchsorted(which, np.arange(len(keys) + 1)).tolist()
            numbers = (member + first).astype(np.int32)
            for at, parts in enumerate(found):
                part = slice(bounds[at], bounds[at + 1])
                if part.start < part.stop:
                    parts.append((numbers[part], value[part]))
        for key, parts in zip(keys, found, strict=True):
            columns[key] = (
                np.concatenate([numbers for numbers, _ in parts]),
                np.concatenate([values for _, values in parts]),
            )

    def _join(self, groups: Sequence[Group]) -> Indices:
        """Let each contribution join the closest group, of equal ones the earliest."""
        joined = np.full(len(self._field), NO_GROUP, np.int32)
        best = np.zeros(len(self._field), np.int32)
        for at, group in enumerate(groups):
            members, close = self._columns[group.centroid.tobytes()]
            closer = close > best[members]
            best[members[closer]] = close[closer]
            joined[members[closer]] = at
        joined[~self._field.is_here] = NO_GROUP
        return joined


def _floats(centroids: Sequence[Numbers]) -> Floats:
    """Return centroids as rows that multiply fast; none has a number above 2 ** 15."""
    if not centroids:
        return np.zeros((0, 0))
    return np.stack(centroids).astype(np.float64)
