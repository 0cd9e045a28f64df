"""What the owner's thread does for the store while nobody asks for anything.

Each step is short, so that whoever does ask waits little; the order is by what matters
most if the machine is switched off next: envelopes, compaction, the saved index.
"""

import logging
from collections.abc import Callable
from typing import Final

from crdt.committed import Committed
from crdt.errors import StoreError
from crdt.replica import Replica
from daemon.memory import release_memory

_QUIET_SECONDS: Final = 0.5
"""Quiet time before upkeep begins: long enough to be between two requests."""
_NEXT_STEP_SECONDS: Final = 0.02
_AFTER_FAULT_SECONDS: Final = 2.0
"""Time between tries while the store cannot write, for instance on a full disk."""
_RECEIPT_MS: Final = 24 * 3600 * 1000
_EVERY_MS: Final = 3600 * 1000
"""Between two looks for what has become old: receipts, histories."""

logger = logging.getLogger(__name__)


class Upkeep:
    """Knows what the store needs and when; owned by the owner's thread."""

    def __init__(
        self,
        replica: Replica,
        wall_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """Start with a store that was just opened."""
        self._replica = replica
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._receipts_due_ms = monotonic_ms() + _EVERY_MS
        self._archive_due_ms = monotonic_ms()
        self._wait: float | None = _QUIET_SECONDS
        self._was_busy = False
        self._has_tidied = False

    def patience(self) -> float | None:
        """Return for how many seconds to wait for work; None is for ever."""
        due_ms = self._replica.seal_due_ms
        if due_ms is None or self._wait == _AFTER_FAULT_SECONDS:
            return self._wait
        return max(0, due_ms - self._monotonic_ms()) / 1000

    def note_work(self, *, is_bulk: bool) -> None:
        """Take note that the store was written to."""
        self._wait = _QUIET_SECONDS
        self._was_busy = self._was_busy or is_bulk

    def note_fault(self) -> bool:
        """Take note that the store could not write; return whether that is news."""
        is_news = self._wait != _AFTER_FAULT_SECONDS
        self._wait = _AFTER_FAULT_SECONDS
        return is_news

    def step(self) -> Committed | None:
        """Do the most needed thing and return what is to be told of it.

        Raises what keeps the store from it.
        """
        replica = self._replica
        if replica.seal_due_ms is not None:
            sealed = replica.seal()
            self._wait = _QUIET_SECONDS
            return sealed
        self._tidy(replica)
        return None

    def _tidy(self, replica: Replica) -> None:
        if self._was_busy:
            release_memory()
            self._was_busy = False
        if replica.compact() or replica.prune(self._wall_ms()) or replica.shrink():
            self._wait = _NEXT_STEP_SECONDS
            self._has_tidied = True
            return
        replica.save_index()
        replica.save_acknowledgements()
        if self._monotonic_ms() >= self._receipts_due_ms:
            replica.forget_receipts(self._wall_ms() - _RECEIPT_MS)
            self._receipts_due_ms = self._monotonic_ms() + _EVERY_MS
        if self._archives(replica):
            self._wait = _NEXT_STEP_SECONDS
            self._has_tidied = True
            return
        if self._has_tidied:
            release_memory()
            self._has_tidied = False
        self._wait = None

    def _archives(self, replica: Replica) -> bool:
        """Archive some of the old histories; return whether more wait.

        What keeps that from being done keeps nothing else: it is told, and tried again.
        """
        if self._monotonic_ms() < self._archive_due_ms:
            return False
        is_more = False
        try:
            is_more = replica.archive(self._wall_ms())
        except StoreError as error:
            logger.warning("old histories stay in the store for now: %s", error)
        if not is_more:
            self._archive_due_ms = self._monotonic_ms() + _EVERY_MS
        return is_more
