"""What a person's devices tell each other of the circles that the person is in.

Specification: docs/protocol/circle-sync.md, frame `Circles`.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from transport.frames import MAX_CIRCLES, MAX_CIRCLES_BYTES, Circles, OwnCircle


def announcements(circles: Iterable[OwnCircle]) -> Iterator[Circles]:
    """Yield the frames that tell of these circles, each within its limits."""
    waiting: list[OwnCircle] = []
    size = 0
    for each in circles:
        grown = size + sum(map(len, chain((each.founding,), each.cards)))
        if waiting and (len(waiting) == MAX_CIRCLES or grown > MAX_CIRCLES_BYTES):
            yield Circles(tuple(waiting))
            grown, waiting = grown - size, []
        waiting.append(each)
        size = grown
    if waiting:
        yield Circles(tuple(waiting))
