"""The star cover: steps 3 and 4 of the rule.

Specification: docs/protocol/consensus.md. Rules of this file:

1. A contribution is a centre if and only if no neighbour of better rank is one. So the
   cover is decided in the order of rank, each by those before it.
2. After a change only what a change reaches is decided anew, in the order of rank too:
   whoever is decided finds all before it decided. Nothing is remembered of how the
   present cover came about, so that it is the one that all of it would give.
"""

import heapq
from collections import defaultdict

import numpy as np

from consensus.field import Field
from consensus.neighbours import Neighbours

NO_STAR = -1


class Stars:
    """Which contributions are centres, and whose star each belongs to."""

    def __init__(self, field: Field, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._step = field.step
        self._is_centre = np.zeros(0, np.bool_)
        self._star: list[int] = []
        self._centres: list[dict[int, int]] = []
        """For each number the neighbours that are centres, and their similarities."""
        self.members: defaultdict[int, set[int]] = defaultdict(set)
        """By the number of the centre."""
        self.changed: set[int] = set()
        """Centres whose members changed; for others to clear."""
        self._cover(len(field))

    def similarity(self, number: int, centre: int) -> int:
        """Return the similarity of one with a centre that is its neighbour."""
        return self._centres[number][centre]

    def add(self, number: int) -> None:
        """Take in what the neighbours have just been given."""
        if number == len(self._is_centre):
            self._is_centre = np.pad(self._is_centre, (0, number // 2 + 64))
        self._star.append(NO_STAR)
        near = self._neighbours.of(number)
        at = self._is_centre[near]
        similarities = self._neighbours.similarities(number)[at]
        self._centres.append(
            dict(zip(near[at].tolist(), similarities.tolist(), strict=True))
        )
        self._settle({number, *near.tolist()})

    def remove(self, number: int) -> None:
        """Let go of what the neighbours have just let go of."""
        if self._is_centre[number]:
            self._turn(number, is_centre=False)
        self._move(number, NO_STAR)
        # Its own row still tells whose neighbour it was.
        self._settle(set(self._neighbours.of(number).tolist()))

    def _cover(self, count: int) -> None:
        """Decide everything, for a field that nothing has left yet."""
        self._is_centre = np.zeros(count, np.bool_)
        self._star = [NO_STAR] * count
        self._centres = [{} for _ in range(count)]
        is_covered = np.zeros(count, np.bool_)
        for number in sorted(range(count), key=self._neighbours.rank):
            self._step()
            if not is_covered[number]:
                self._turn(number, is_centre=True)
                is_covered[self._neighbours.of(number)] = True
        for number in range(count):
            self._step()
            self._move(number, self._star_of(number))

    def _settle(self, moved: set[int]) -> None:
        """Decide anew those whose rank or neighbours changed, and who follows."""
        waiting = set(moved)
        for number in moved:
            if self._is_centre[number]:
                # Its rank may have passed that of a neighbour, in either direction.
                waiting |= set(self._neighbours.of(number).tolist())
        rank_of = self._neighbours.rank
        reached = set(waiting)
        heap = [(rank_of(number), number) for number in waiting]
        heapq.heapify(heap)
        while heap:
            rank, number = heapq.heappop(heap)
            waiting.discard(number)
            is_centre = not any(map(rank.__gt__, map(rank_of, self._centres[number])))
            if is_centre == self._is_centre[number]:
                continue
            self._turn(number, is_centre=is_centre)
            for other in self._neighbours.of(number).tolist():
                reached.add(other)
                other_rank = rank_of(other)
                if rank < other_rank and other not in waiting:
                    waiting.add(other)
                    heapq.heappush(heap, (other_rank, other))
        for number in reached:
            self._move(number, self._star_of(number))

    def _turn(self, number: int, *, is_centre: bool) -> None:
        """Make one a centre, or no longer one, for itself and its neighbours."""
        self._is_centre[number] = is_centre
        near = self._neighbours.of(number).tolist()
        if is_centre:
            similarities = self._neighbours.similarities(number).tolist()
            for other, similarity in zip(near, similarities, strict=True):
                self._centres[other][number] = similarity
        else:
            for other in near:
                del self._centres[other][number]

    def _star_of(self, number: int) -> int:
        """Return the centre that is nearest, of equally near ones the best."""
        if self._is_centre[number]:
            return number
        centres = self._centres[number]
        nearest = max(centres.values())
        return min(
            (centre for centre, close in centres.items() if close == nearest),
            key=self._neighbours.rank,
        )

    def _move(self, number: int, star: int) -> None:
        former = self._star[number]
        if star == former:
            return
        if former != NO_STAR:
            self.members[former].discard(number)
            self.changed.add(former)
            if not self.members[former]:
                del self.members[former]
        if star != NO_STAR:
            self.members[star].add(number)
            self.changed.add(star)
        self._star[number] = star
