"""When two devices of a circle compare their sets, and how one comparison goes.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. The device with the lower id begins; from then on they take turns, until one has
   nothing to ask. There is one comparison at a time.
2. A set is compared when it differs and nothing moves. If that changed nothing, or
   items were refused, the next time is twice as far away.
3. A set waits for those before it, unless those wait for longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from crdt.circle_items import ItemKind
from transport.circle_actions import CircleAction, CircleEnd, Send, TakeNames
from transport.circle_frames import ID_BYTES, CircleState, Compare, Range
from transport.reconciliation import SHORT_ID_BYTES, answer, opening
from transport.sorted_names import SortedNames

QUIET_MS: Final = 1000
RESTLESS_MS: Final = 30_000
"""Where it never becomes quiet, a set that differs for so long is compared anyway."""
MAX_BACK_OFF_MS: Final = 600_000
MAX_ROUNDS: Final = 4096
LEAST_ROUNDS: Final = 64
NAMES_OF_ROUND: Final = 200
MAX_WITHHELD: Final = 8
_NEVER_MS: Final = -(10**9)

Difference: TypeAlias = tuple[int, int]
"""What two sets differ by: the same as long as they lack the same of each other."""


def difference(here: CircleState, there: CircleState, kind: ItemKind) -> Difference:
    """Return what two sets differ by; (0, 0) if they are equal."""
    mine, theirs = here.sets[kind], there.sets[kind]
    total = int.from_bytes(mine.total) - int.from_bytes(theirs.total)
    return mine.count - theirs.count, total % 2 ** (8 * ID_BYTES)


EQUAL: Final[Difference] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Past:
    """What is remembered of one set."""

    ended_ms: int = _NEVER_MS
    """When the last comparison was over."""
    differing_ms: int | None = None
    active_ms: int = _NEVER_MS
    """When it changed last, here or there."""
    began: tuple[Difference, int] | None = None
    """What it differed by when it was compared last, and what was refused by then."""
    attempts: int = 0
    """Comparisons in a row that were of no use."""

    def was_useless(self, apart: Difference, refusals: int) -> bool:
        """Whether the last comparison changed nothing, or gave what was refused."""
        if self.began is None:
            return False
        return self.began[0] == apart or self.began[1] != refusals


@dataclass(slots=True)
class _Running:
    kind: ItemKind
    names: SortedNames | None = None
    waiting: tuple[Range, ...] | None = None
    """What the peer said, for when the names are here."""
    rounds: int = 0
    is_owed: bool = False
    """Whether the peer has to go on."""
    id_bytes: int = SHORT_ID_BYTES


class Comparing:
    """The comparisons of one session."""

    def __init__(self, *, begins: bool) -> None:
        self._begins: Final = begins
        self._past: Final = {kind: _Past() for kind in ItemKind}
        self._withheld: Final = dict.fromkeys(ItemKind, 0)
        self._given: Final = dict.fromkeys(ItemKind, -1)
        self.lacking: Final = dict.fromkeys(ItemKind, 0)
        """Names of the last comparison that were not held here."""
        self._number = 0
        self._running: _Running | None = None

    @property
    def is_owed(self) -> bool:
        """Whether the peer has to go on with a comparison."""
        return self._running is not None and self._running.is_owed

    def moved(self, kind: ItemKind, now_ms: int) -> None:
        """Take note that a set changes here or there."""
        self._past[kind] = replace(self._past[kind], active_ms=now_ms)

    def arrived(self, kind: ItemKind, new: int, now_ms: int) -> None:
        """Take note that items came, and how many of them were new."""
        self.lacking[kind] = max(0, self.lacking[kind] - new)
        self.moved(kind, now_ms)

    def hurry(self, *, after: ItemKind | None = None) -> None:
        """Compare soon what was of no use: what was refused may be taken now."""
        for kind in ItemKind:
            if after is None or kind > after:
                self._past[kind] = replace(self._past[kind], began=None, attempts=0)

    def due_ms(
        self,
        kind: ItemKind,
        apart: Difference,
        refusals: int,
        now_ms: int,
    ) -> tuple[int, bool]:
        """Return when a set that differs is to be compared, and if later ones wait."""
        past = self._past[kind]
        is_useless = past.was_useless(apart, refusals)
        back_off_ms = QUIET_MS << min(past.attempts + 1, 20) if is_useless else 0
        since_ms = now_ms if past.differing_ms is None else past.differing_ms
        quiet_ms = min(past.active_ms + QUIET_MS, since_ms + RESTLESS_MS)
        due_ms = max(past.ended_ms + min(back_off_ms, MAX_BACK_OFF_MS), quiet_ms)
        return due_ms, not is_useless

    def choose(
        self,
        here: CircleState,
        there: CircleState,
        busy: Mapping[ItemKind, bool],
        refusals: Mapping[ItemKind, int],
        now_ms: int,
    ) -> tuple[list[CircleAction], int | None]:
        """Begin a comparison if one is due; else say when the next one is."""
        next_ms: int | None = None
        for kind in ItemKind:
            apart = difference(here, there, kind)
            self._observe(kind, apart, now_ms)
            if apart == EQUAL or not self._begins or self._running is not None:
                continue
            if busy[kind]:
                break
            due_ms, keeps_others = self.due_ms(kind, apart, refusals[kind], now_ms)
            if due_ms <= now_ms:
                return self._begin(kind, apart, refusals[kind]), None
            next_ms = due_ms if next_ms is None else min(next_ms, due_ms)
            if keeps_others:
                break
        return [], next_ms

    def _observe(self, kind: ItemKind, apart: Difference, now_ms: int) -> None:
        past = self._past[kind]
        if apart == EQUAL:
            self._withheld[kind] = self.lacking[kind] = 0
            self._past[kind] = replace(past, differing_ms=None, began=None, attempts=0)
        elif past.differing_ms is None:
            self._past[kind] = replace(past, differing_ms=now_ms)

    def _begin(
        self, kind: ItemKind, apart: Difference, refusals: int
    ) -> list[CircleAction]:
        past = self._past[kind]
        is_useless = past.was_useless(apart, refusals)
        attempts = past.attempts + 1 if is_useless else 0
        self._past[kind] = replace(past, began=(apart, refusals), attempts=attempts)
        self._number += 1
        self._running = _Running(kind)
        # Who can choose ids can make the last bytes of two the same.
        if is_useless:
            self._running.id_bytes = ID_BYTES
        return [TakeNames(kind)]

    def receive(self, frame: Compare) -> list[CircleAction] | CircleEnd:
        """Take the peer's turn; `go_on` answers it."""
        running = self._running
        if running is None:
            if self._begins or frame.number <= self._number or not frame.ranges:
                return CircleEnd.OUT_OF_PLACE
            self._number = frame.number
            self._running = _Running(frame.kind, waiting=frame.ranges)
            return [TakeNames(frame.kind)]
        is_answer = frame.number == self._number and frame.kind is running.kind
        if not is_answer or not running.is_owed:
            return CircleEnd.OUT_OF_PLACE
        running.is_owed, running.waiting = False, frame.ranges
        return []

    def names_taken(
        self, names: SortedNames, given: Mapping[ItemKind, int]
    ) -> CircleEnd | None:
        """Take the names of the set that is compared, and what was given of it so far.

        If the peer has named items again and again and gave none, that is the end.
        """
        if self._running is None:
            return None
        self._running.names, kind = names, self._running.kind
        came = given[kind] != self._given[kind]
        self._withheld[kind] += 1 if self.lacking[kind] and not came else 0
        self._withheld[kind] *= not came
        self._given[kind] = given[kind]
        self.lacking[kind] = 0
        return CircleEnd.WITHHELD if self._withheld[kind] >= MAX_WITHHELD else None

    def go_on(
        self, there: CircleState, now_ms: int, *, may_compare: bool
    ) -> tuple[list[CircleAction], ItemKind, list[bytes]] | CircleEnd | None:
        """Take this side's turn, if it is; return what to say and what to give.

        Raises `MalformedError` if the peer's ranges break their format.
        """
        running = self._running
        if running is None or running.names is None or running.is_owed:
            return None
        names, kind = running.names, running.kind
        running.rounds += 1
        count = len(names) + there.sets[kind].count
        limit = LEAST_ROUNDS + count // NAMES_OF_ROUND
        if running.rounds > min(limit, MAX_ROUNDS):
            return CircleEnd.ENDLESS
        if running.waiting == ():
            self._finish(now_ms)
            return [], kind, []
        ranges, to_give = list[Range](), list[bytes]()
        if not may_compare and running.waiting is None:
            self._finish(now_ms)
            return None
        if running.waiting is None:
            ranges = opening(names, running.id_bytes)
            self.lacking[kind] = 0 if names.keys else 1
        elif may_compare:
            step = answer(names, running.waiting, running.id_bytes)
            ranges, to_give = step.ranges, step.to_give
            self.lacking[kind] += step.lacking
        said = Compare(kind, self._number, tuple(ranges))
        if ranges:
            running.is_owed = True
        else:
            self._finish(now_ms)
        return [Send(said)], kind, to_give

    def _finish(self, now_ms: int) -> None:
        if self._running is not None:
            kind = self._running.kind
            self._past[kind] = replace(
                self._past[kind], ended_ms=now_ms, active_ms=now_ms
            )
            self._running = None
