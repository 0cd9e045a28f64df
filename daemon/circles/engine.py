"""The engine of one circle's consensus: what works in a thread beside the event loop.

Rule: after `stop` whatever the thread is at ends soon with `StoppedError`; what an
engine has then is of no use any more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from consensus.contribution import Author, Contribution
from consensus.invitations import Invitation, InviteTree
from consensus.resonance import Resonance
from consensus.result import Result
from consensus.rule import Preset
from crdt.errors import FractalityError
from daemon.memory import return_free_memory, uncollected

Near: TypeAlias = tuple[Contribution, int]
"""A contribution, and how near it is in basis points."""
Step: TypeAlias = Callable[[Resonance], None]
"""What a change does."""


class StoppedError(FractalityError):
    """Nobody wants any more what was being worked out."""


class Engine:
    """Consensus that follows changes, until it is stopped."""

    def __init__(self, circle: bytes, preset: Preset) -> None:
        self._is_stopped = False
        self._circle = circle
        self._preset = preset
        self._resonance = Resonance(circle, preset, self._go_on)

    def stop(self) -> None:
        """Let the thread end soon what it is at; for the event loop to call."""
        self._is_stopped = True

    def hold(self, records: Sequence[Contribution]) -> None:
        """Hold these records and no others."""
        ids = {record.id for record in records}
        self._resonance.drop(
            [each for each in self._resonance.holding if each.id not in ids]
        )
        with uncollected():
            self._resonance.put(records)

    def follow(self, steps: Iterable[Step]) -> None:
        """Follow changes, in order."""
        for step in steps:
            self._go_on()
            step(self._resonance)

    def result(self, invitations: Mapping[Author, Invitation]) -> Result:
        """Return the consensus of what is held."""
        return self._resonance.result(InviteTree(invitations))

    def nearest(
        self, vector: bytes, model: bytes, limit: int, but_not_by: Author | None
    ) -> list[Near]:
        """Return what is nearest to a vector, best first."""
        return self._resonance.nearest(vector, model, limit, but_not_by)

    def let_go(self) -> None:
        """Give back the memory, without waiting for the collector."""
        self._resonance = Resonance(self._circle, self._preset)
        return_free_memory()

    def _go_on(self) -> None:
        if self._is_stopped:
            raise StoppedError
