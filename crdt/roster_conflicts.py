"""Which of the statements that contradict each other stand.

Specification: docs/protocol/roster.md. A set of statements is a whole number with a bit
for each. A statement stands if all that could make it void have fallen, and one of
those that it needs stands. It falls if one that makes it void stands, or all that it
needs have fallen. Where that leaves a ring open, one removal of the ring is let fall.
"""

from collections.abc import Callable, Iterator, Mapping

NOTHING = 0


def bits(number: int) -> Iterator[int]:
    """Yield the places of the bits that are set, lowest first."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def standing(
    among: int,
    attackers: Mapping[int, int],
    needs: Callable[[int], int],
    yielding: Callable[[int], int],
) -> int:
    """Return those of `among` that stand.

    `attackers` has, by place, the statements that could make that one void; `needs`
    gives those of which it needs one, nothing if it needs none; `yielding` says which
    of a ring falls.
    """
    needed = {place: needs(place) & among for place in bits(among)}
    stands, undecided = NOTHING, among
    while True:
        stands, undecided = _settled(among, attackers, needed, stands, undecided)
        if not undecided:
            return stands
        undecided ^= 1 << yielding(_ring(attackers, needed, undecided))


def _settled(
    among: int,
    attackers: Mapping[int, int],
    needed: Mapping[int, int],
    stands: int,
    undecided: int,
) -> tuple[int, int]:
    """Return what stands and what is undecided after all that follows has followed."""
    before = NOTHING
    while before != undecided:
        before = undecided
        for place in bits(undecided):
            attacking, need = attackers.get(place, NOTHING), needed[place]
            possible = stands | undecided
            if attacking & stands or (need and not need & possible):
                undecided ^= 1 << place
            elif not attacking & possible and (not need or need & stands):
                stands |= 1 << place
                undecided ^= 1 << place
    return stands, undecided


def _ring(
    attackers: Mapping[int, int], needed: Mapping[int, int], undecided: int
) -> int:
    """Return a set in which each hangs on every other, and on no others."""
    hangs_on = {
        place: (attackers.get(place, NOTHING) | needed[place]) & undecided
        for place in bits(undecided)
    }
    return min(
        (_reached(hangs_on, place) for place in hangs_on),
        key=lambda reached: (reached.bit_count(), reached),
    )


def _reached(hangs_on: Mapping[int, int], start: int) -> int:
    reached, waiting = NOTHING, hangs_on[start]
    while waiting:
        reached |= waiting
        further = NOTHING
        for place in bits(waiting):
            further |= hangs_on[place]
        waiting = further & ~reached
    return reached
