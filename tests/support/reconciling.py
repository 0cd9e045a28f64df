"""Two sorted sets that are compared with nothing between them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random

from crdt.circle_items import ItemKind
from transport.circle_frames import Compare, Range, decode, encode
from transport.reconciliation import SHORT_ID_BYTES, answer, opening
from transport.sorted_names import SortedNames


@dataclass(slots=True)
class Outcome:
    """What a comparison found, and what it cost."""

    frames: list[bytes] = field(default_factory=list)
    gifts: tuple[list[bytes], list[bytes]] = field(default_factory=lambda: ([], []))
    """What each of both gives the other."""

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return sum(map(len, self.frames))


def keys(dice: Random, count: int, epochs: int = 1) -> list[bytes]:
    """Return random keys."""
    return [
        dice.randrange(epochs).to_bytes(4) + dice.randbytes(32) for _ in range(count)
    ]


def reconcile(
    one: Collection[bytes],
    other: Collection[bytes],
    *,
    id_bytes: int = SHORT_ID_BYTES,
    most: int = 10_000,
) -> Outcome:
    """Compare two sets, frame by frame through its bytes, until both have seen all."""
    sides = SortedNames(one), SortedNames(other)
    outcome = Outcome()
    ranges: list[Range] = opening(sides[0], id_bytes)
    turn = 0
    while True:
        outcome.frames.append(encode(Compare(ItemKind.VOTE, 1, tuple(ranges))))
        frame = decode(outcome.frames[-1])
        assert isinstance(frame, Compare)
        if not frame.ranges:
            return outcome
        assert len(outcome.frames) < most
        turn = 1 - turn
        step = answer(sides[turn], frame.ranges, id_bytes)
        outcome.gifts[turn].extend(step.to_give)
        ranges = step.ranges
