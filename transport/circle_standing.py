"""How both sides of a circle's session stand, and what of that is said and reported.

Specification: docs/protocol/circle-sync.md.
"""

from collections.abc import Mapping
from typing import Final

from crdt.circle_items import ItemKind
from transport.circle_actions import (
    CircleAction,
    Progress,
    Report,
    ResultsDiffer,
    Send,
    SetProgress,
    Stalled,
)
from transport.circle_comparing import EQUAL, difference
from transport.circle_frames import CircleState, Stand
from transport.stall import GIVE_UP_MS, STALL_MS

STAND_MS: Final = 500
PROGRESS_MS: Final = 1000
MAX_ALARMS: Final = 64


class Standing:
    """The state of this side, what the peer was told of it, and the peer's state."""

    def __init__(self, here: CircleState) -> None:
        self.here = here
        self.there = here
        """Ours until the peer has said hello."""
        self.rules_agree = False
        self._told = here
        self._told_ms = 0
        self._reported: Progress | None = None
        self._reported_ms = 0
        self._alarms: Final[set[tuple[bytes, bytes]]] = set()

    @property
    def is_paused(self) -> bool:
        """Whether one of both is paused."""
        return self.here.is_paused or self.there.is_paused

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same, and the peer knows what this side holds."""
        return self.here == self._told and self.here.sets == self.there.sets

    def is_alike(self, kind: ItemKind) -> bool:
        """Whether both hold the same of one kind, as far as the peer said."""
        return difference(self.here, self.there, kind) == EQUAL

    @property
    def due_ms(self) -> int | None:
        """When the peer is to be told of a change."""
        return None if self.here == self._told else self._told_ms + STAND_MS

    def tell(self, now_ms: int) -> list[CircleAction]:
        """Tell the peer how this side stands, if that changed and it is time."""
        if self.here == self._told:
            return []
        is_pause = self.here.is_paused != self._told.is_paused
        if now_ms < self._told_ms + STAND_MS and not is_pause:
            return []
        self._told, self._told_ms = self.here, now_ms
        return [Send(Stand(self.here))]

    def compare_results(self) -> list[CircleAction]:
        """Say, once for each pair of results, if equal sets gave different ones."""
        here, there = self.here.result, self.there.result
        if here is None or there is None or here == there:
            return []
        is_new = (here, there) not in self._alarms and len(self._alarms) < MAX_ALARMS
        if not self.rules_agree or not self.is_equal or not is_new:
            return []
        self._alarms.add((here, there))
        return [ResultsDiffer(here, there)]

    def report(
        self,
        lacking_here: Mapping[ItemKind, int],
        lacking_there: Mapping[ItemKind, int],
        now_ms: int,
    ) -> list[CircleAction]:
        """Report how far both are, if that changed; mere numbers once in a second."""
        statement, card, contribution, vote = (
            SetProgress(
                is_equal=self.is_alike(kind),
                count_here=self.here.sets[kind].count,
                count_there=self.there.sets[kind].count,
                lacking_here=lacking_here[kind],
                lacking_there=lacking_there[kind],
            )
            for kind in ItemKind
        )
        progress = Progress((statement, card, contribution, vote), self.there.is_paused)
        before = self._reported
        is_soon = before is not None and (
            now_ms < self._reported_ms + PROGRESS_MS
            and progress.is_equal == before.is_equal
            and progress.is_paused_there == before.is_paused_there
        )
        if progress == before or is_soon:
            return []
        self._reported, self._reported_ms = progress, now_ms
        return [Report(progress)]


class Silence:
    """Since when the peer owes an answer."""

    def __init__(self, now_ms: int) -> None:
        self._since_ms = now_ms
        self._is_told = False

    def moved(self, now_ms: int) -> None:
        """Take note that the peer answered."""
        self._since_ms = now_ms

    def observe(self, now_ms: int, *, is_owed: bool) -> list[CircleAction]:
        """Report when a silence has become long, and when it is over."""
        if not is_owed:
            self._since_ms = now_ms
        is_long = now_ms - self._since_ms >= STALL_MS
        if is_long == self._is_told:
            return []
        self._is_told = is_long
        return [Report(Stalled(self._since_ms if is_long else None))]

    def is_too_long(self, now_ms: int) -> bool:
        """Whether another link should be tried."""
        return now_ms - self._since_ms >= GIVE_UP_MS
