"""How far two devices are from having the same, and whether they then show the same.

Those that hold the same envelopes must show the same graph; if they do not, a program
or a store is at fault, and people have to know.
"""

from typing import Final

from transport.frames import Shown
from transport.sync_actions import Action, Compared, Holdings, Progress, Report, Send
from transport.vectors import VersionVector, are_equal, lacks, vector_hash

SHOW_INTERVAL_MS: Final = 500
PROGRESS_INTERVAL_MS: Final = 200


class ProgressNews:
    """Tells how much each side lacks: at once when it is nothing, else now and then."""

    def __init__(self) -> None:
        self._told: Progress | None = None
        self._told_ms = 0

    def pump(
        self, here: VersionVector, there: VersionVector, now_ms: int
    ) -> list[Action]:
        """Return what is new."""
        progress = Progress(lacks(there, here), lacks(here, there))
        if progress == self._told:
            return []
        is_done = not progress.lacking_here and not progress.lacking_there
        is_soon = now_ms - self._told_ms < PROGRESS_INTERVAL_MS
        if self._told is not None and is_soon and not is_done:
            return []
        self._told, self._told_ms = progress, now_ms
        return [Report(progress)]


class Comparison:
    """The digests of both sides, compared whenever they stand for the same vector."""

    def __init__(self) -> None:
        self._here: Shown | None = None
        self._there: Shown | None = None
        self._told: Shown | None = None
        self._told_ms: int | None = None
        self._is_alarmed = False
        self._reported: tuple[bytes, bool] | None = None
        self._seen: Holdings | None = None

    def take_alarm(self) -> bool:
        """Whether both were found to show different graphs since the last call."""
        was_alarmed, self._is_alarmed = self._is_alarmed, False
        return was_alarmed

    def shown(self, frame: Shown, holdings: Holdings) -> list[Action]:
        """Take what the peer shows."""
        self._there = frame
        self._look(holdings)
        return self._compare()

    def pump(
        self, holdings: Holdings, there: VersionVector, now_ms: int
    ) -> list[Action]:
        """Tell the peer what is shown here, once both hold the same."""
        if not are_equal(holdings.vector, there):
            return []
        self._look(holdings)
        actions = self._compare()
        is_soon = (
            self._told_ms is not None and now_ms - self._told_ms < SHOW_INTERVAL_MS
        )
        if self._here is None or self._here == self._told or is_soon:
            return actions
        self._told, self._told_ms = self._here, now_ms
        return [*actions, Send(self._here)]

    def _look(self, holdings: Holdings) -> None:
        if holdings is self._seen:
            return
        self._seen = holdings
        digest = holdings.digest
        self._here = None
        if digest is not None:
            self._here = Shown(vector_hash(holdings.vector), digest)

    def _compare(self) -> list[Action]:
        here, there = self._here, self._there
        if here is None or there is None or here.vector_hash != there.vector_hash:
            return []
        result = (here.vector_hash, here.digest == there.digest)
        if result == self._reported:
            return []
        self._reported = result
        self._is_alarmed |= not result[1]
        return [Report(Compared(is_equal=result[1]))]
