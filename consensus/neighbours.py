"""Who is near whom, and how dense it is around each: steps 1 and 2 of the rule.

Specification: docs/protocol/consensus.md.

Rule: the density at a contribution is the sum, over other authors, of how far their
best neighbour is above the base. An author's second best adds nothing, so what one more
neighbour adds follows from the others of its author, who are few.
"""

from typing import Final

import numpy as np

from consensus.exact import Numbers
from consensus.field import Field, Indices
from consensus.rule import BASE

_FIRST_ROOM: Final = 4


class Neighbours:
    """The neighbours of each contribution of a field, and its density."""

    def __init__(self, field: Field, star: int) -> None:
        self._field = field
        self._star = star
        self._rows: list[Indices] = []
        """For each number two rows of an array: neighbours and their similarities."""
        self._counts: list[int] = []
        self.densities: list[int] = []
        for near, similarities in field.near_each(star):
            field.step()
            self._append(near, similarities)

    def of(self, number: int) -> Indices:
        """Return the neighbours."""
        neighbours: Indices = self._rows[number][0, : self._counts[number]]
        return neighbours

    def similarities(self, number: int) -> Indices:
        """Return how similar they are, in the same order."""
        similarities: Indices = self._rows[number][1, : self._counts[number]]
        return similarities

    def rank(self, number: int) -> tuple[int, bytes]:
        """Return what is smaller for the one that ranks before another."""
        return -self.densities[number], self._field.id(number)

    def add(self, number: int) -> None:
        """Take in what the field has just been given."""
        near, similarities = self._field.near(number, self._star)
        self._append(near, similarities)
        shares = self._shares(number)
        for other, similarity, share in zip(
            near.tolist(), similarities.tolist(), shares, strict=True
        ):
            self.densities[other] += share
            self._link(other, number, similarity)

    def remove(self, number: int) -> None:
        """Let go of what has just left the field; its own row stays as it was."""
        shares = self._shares(number)
        for other, share in zip(self.of(number).tolist(), shares, strict=True):
            self.densities[other] -= share
            self._unlink(other, number)

    def _shares(self, number: int) -> list[int]:
        """Return what one adds to the density at each neighbour, in their order.

        That is how far it is above what else of its author is near there.
        """
        author = self._field.authors[number]
        best = np.full(len(self._field), BASE, np.int32)
        for other in self._field.by_author[author]:
            if other != number:
                near = self.of(other)
                best[near] = np.maximum(best[near], self.similarities(other))
        near = self.of(number)
        share = np.maximum(self.similarities(number) - best[near], 0)
        share[self._field.authors[near] == author] = 0
        shares: list[int] = share.tolist()
        return shares

    def _append(self, near: Indices, similarities: Numbers) -> None:
        row = np.empty((2, max(_FIRST_ROOM, len(near))), np.int32)
        row[0, : len(near)] = near
        row[1, : len(near)] = similarities
        self._rows.append(row)
        self._counts.append(len(near))
        self.densities.append(self._density(len(self._rows) - 1))

    def _density(self, number: int) -> int:
        authors = self._field.authors[self.of(number)]
        others = authors != self._field.authors[number]
        if not others.any():
            return 0
        authors, similarities = authors[others], self.similarities(number)[others]
        order = np.lexsort((-similarities, authors))
        authors = authors[order]
        is_best = np.append([True], authors[1:] != authors[:-1])
        best = similarities[order][is_best].astype(np.int64) - BASE
        return int(best.sum())

    def _link(self, number: int, other: int, similarity: int) -> None:
        count = self._counts[number]
        row = self._rows[number]
        if count == row.shape[1]:
            row = np.pad(row, ((0, 0), (0, count // 2 + 1)))
            self._rows[number] = row
        row[:, count] = other, similarity
        self._counts[number] = count + 1

    def _unlink(self, number: int, other: int) -> None:
        at = int(np.flatnonzero(self.of(number) == other)[0])
        row = self._rows[number]
        last = self._counts[number] - 1
        row[:, at] = row[:, last]
        self._counts[number] = last
