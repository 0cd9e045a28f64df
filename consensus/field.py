"""Contributions of one model as arrays, a number to each.

Rules of this file:

1. A number is given once: what leaves stays in its row, and `is_here` says no. Whoever
   has more rows of the gone than of others makes a new field.
2. A vector is its bytes; nothing else of a contribution decides what is near.
3. Whoever works for long on a field calls its `step` now and then: it may raise, and
   then the field and all that follows from it is to be thrown away.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from consensus.contribution import Author, Contribution
from consensus.exact import (
    Floats,
    Numbers,
    Rows,
    products,
    similarities,
    surely_below,
    units,
)
from consensus.exact import squares as squares_of
from consensus.model_tag import DIMENSION

Indices: TypeAlias = npt.NDArray[np.int32]
Step: TypeAlias = Callable[[], None]
ROWS_AT_ONCE: Final = 1024
"""Rows that are multiplied together: what bounds the memory that products take."""
_FIRST_ROOM: Final = 64


class Field:
    """Vectors and authors of contributions, by their numbers."""

    def __init__(
        self, contributions: Iterable[Contribution] = (), step: Step = lambda: None
    ) -> None:
        self.step: Final = step
        self.contributions: list[Contribution] = []
        self.by_author: list[set[int]] = []
        """What of each author is here."""
        self.gone = 0
        self._numbers: dict[bytes, int] = {}
        self._authors: dict[Author, int] = {}
        self._rows: Rows = np.zeros((_FIRST_ROOM, DIMENSION), np.int8)
        self._squares: Numbers = np.zeros(_FIRST_ROOM, np.int64)
        self._lengths = np.zeros(_FIRST_ROOM, np.float32)
        self._author_of: Indices = np.zeros(_FIRST_ROOM, np.int32)
        self._epoch_of: Numbers = np.zeros(_FIRST_ROOM, np.int64)
        self._is_here = np.zeros(_FIRST_ROOM, np.bool_)
        for each in contributions:
            step()
            self.add(each)

    def __len__(self) -> int:
        """Return how many numbers were given."""
        return len(self.contributions)

    @property
    def authors(self) -> Indices:
        """The author of each number, as a number of their own."""
        return self._author_of[: len(self)]

    @property
    def is_here(self) -> npt.NDArray[np.bool_]:
        """Whether what has this number still takes part."""
        return self._is_here[: len(self)]

    def add(self, contribution: Contribution) -> int:
        """Return the new number of a contribution."""
        number = len(self)
        if number == len(self._rows):
            self._make_room()
        row = np.frombuffer(contribution.vector, np.int8)
        self._rows[number] = row
        square = squares_of(row[None])
        self._squares[number] = square[0]
        self._lengths[number] = np.sqrt(square[0])
        author = self._authors.setdefault(contribution.author, len(self._authors))
        if author == len(self.by_author):
            self.by_author.append(set())
        self.by_author[author].add(number)
        self._author_of[number] = author
        self._epoch_of[number] = contribution.epoch
        self._is_here[number] = True
        self._numbers[contribution.id] = number
        self.contributions.append(contribution)
        return number

    def remove(self, id_: bytes) -> int:
        """Let what has this id take part no longer; return its number."""
        number = self._numbers.pop(id_)
        self._is_here[number] = False
        self.by_author[self._author_of[number]].discard(number)
        self.gone += 1
        return number

    def id(self, number: int) -> bytes:
        """Return the id by which ties end."""
        return self.contributions[number].id

    def newest_epochs(self) -> Numbers:
        """Return the newest epoch of each author who takes part."""
        newest = np.full(len(self._authors), -1, np.int64)
        epochs = self._epoch_of[: len(self)]
        np.maximum.at(newest, self.authors[self.is_here], epochs[self.is_here])
        return newest[newest >= 0]

    def near(self, number: int, least: int) -> tuple[Indices, Numbers]:
        """Return the others that are here and at least so similar, and how much."""
        blocks = [
            self._near_in(start, number, least)
            for start in range(0, len(self), ROWS_AT_ONCE)
        ]
        numbers, similarity = map(np.concatenate, zip(*blocks, strict=True))
        return numbers, similarity

    def near_each(self, least: int) -> Iterator[tuple[Indices, Numbers]]:
        """Yield what `near` returns of each number in turn, with less work.

        For a field that nothing has left yet.
        """
        for start in range(0, len(self), ROWS_AT_ONCE):
            blocks = [
                self._pairs_in(start, other, least)
                for other in range(0, len(self), ROWS_AT_ONCE)
            ]
            first, second, similarity = map(np.concatenate, zip(*blocks, strict=True))
            order = np.argsort(first, kind="stable")
            ends = np.arange(start + 1, min(start + ROWS_AT_ONCE, len(self)))
            bounds = np.searchsorted(first[order], ends)
            yield from zip(
                np.split(second[order], bounds),
                np.split(similarity[order], bounds),
                strict=True,
            )

    def nearest(
        self, vector: bytes, limit: int, but_not_by: Author | None
    ) -> list[tuple[Contribution, int]]:
        """Return what is here and nearest to a vector, with the similarities."""
        row = np.frombuffer(vector, np.int8)[None]
        square = squares_of(row)
        is_wanted = self.is_here.copy()
        if but_not_by is not None and but_not_by in self._authors:
            is_wanted &= self.authors != self._authors[but_not_by]
        numbers = np.flatnonzero(is_wanted)
        if not len(numbers) or not square[0]:
            return []
        similarity = np.concatenate(
            [
                similarities(
                    products(self._rows[part], row)[:, 0].astype(np.int64),
                    self._squares[part],
                    square,
                )
                for part in _parts(numbers)
            ]
        )
        if limit < len(numbers):
            # All that are as near as the last one, for ties end by id.
            least = np.partition(similarity, -limit)[-limit]
            numbers, similarity = (
                numbers[similarity >= least],
                similarity[similarity >= least],
            )
        found = zip(similarity.tolist(), numbers.tolist(), strict=True)
        ranked = sorted(found, key=lambda pair: (-pair[0], self.id(pair[1])))
        return [(self.contributions[at], near) for near, at in ranked[:limit]]

    def similarities(self, left: Indices, right: Indices) -> Numbers:
        """Return the similarities of each of `left` with each of `right`."""
        product = products(self._rows[left], self._rows[right]).astype(np.int64)
        return similarities(
            product, self._squares[left][:, None], self._squares[right][None]
        )

    def units(self, numbers: Indices | slice) -> Floats:
        """Return the units of these contributions."""
        return units(self._rows[numbers], self._squares[numbers])

    def _near_in(self, start: int, number: int, least: int) -> tuple[Indices, Numbers]:
        block = slice(start, min(start + ROWS_AT_ONCE, len(self)))
        product = products(self._rows[block], self._rows[number][None])[:, 0]
        below = surely_below(
            product, self._lengths[block], self._lengths[number : number + 1], least
        )
        maybe = np.flatnonzero(~below & self._is_here[block])
        similarity = similarities(
            product[maybe].astype(np.int64),
            self._squares[block][maybe],
            self._squares[number : number + 1],
        )
        keep = (similarity >= least) & (maybe + start != number)
        return (maybe[keep] + start).astype(np.int32), similarity[keep]

    def _pairs_in(
        self, left: int, right: int, least: int
    ) -> tuple[Indices, Indices, Numbers]:
        self.step()
        rows = slice(left, min(left + ROWS_AT_ONCE, len(self)))
        columns = slice(right, min(right + ROWS_AT_ONCE, len(self)))
        product = products(self._rows[rows], self._rows[columns])
        below = surely_below(
            product, self._lengths[rows, None], self._lengths[columns], least
        )
        first, second = np.nonzero(~below)
        similarity = similarities(
            product[first, second].astype(np.int64),
            self._squares[rows][first],
            self._squares[columns][second],
        )
        first, second = first + left, second + right
        keep = (similarity >= least) & (first != second)
        return (
            first[keep].astype(np.int32),
            second[keep].astype(np.int32),
            similarity[keep],
        )

    def _make_room(self) -> None:
        more = len(self)
        self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._squares = np.pad(self._squares, (0, more))
        self._lengths = np.pad(self._lengths, (0, more))
        self._author_of = np.pad(self._author_of, (0, more))
        self._epoch_of = np.pad(self._epoch_of, (0, more))
        self._is_here = np.pad(self._is_here, (0, more))


def _parts(numbers: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        yield numbers[start : start + ROWS_AT_ONCE]
