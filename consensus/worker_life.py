"""When the process that embeds is started, given time, given up and stopped.

Rules of this file:
1. `now_ms` is passed in; nothing here waits or acts.
2. A process is started only for texts that wait, and not before `may_start_ms`.
3. Each failure in a row doubles the pause, up to a bound; a batch of vectors ends the
   row. So a broken model costs little, and a killed process is back at once.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consensus.worker_messages import Unusable

FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 10 * 60 * 1_000
UNUSABLE_PAUSE_MS: Final = 60_000
"""After a model that cannot be used: a person has to act first."""
LOAD_MS: Final = 600_000
BATCH_MS: Final = 300_000
"""What a process gets for loading and for one batch before it is thought to hang."""
_MOST_DOUBLINGS: Final = 20


class State(StrEnum):
    """Where the process is."""

    IDLE = "idle"
    LOADING = "loading"
    READY = "ready"
    WAITING = "waiting"


@dataclass(slots=True)
class WorkerLife:
    """The life of one process after another."""

    idle_ms: int
    state: State = State.IDLE
    cause: str | None = None
    """Why there are no vectors now, in words for a person."""
    tag: bytes | None = None
    """Of the model that was last loaded."""
    may_start_ms: int = 0
    failures: int = 0
    _used_ms: int = 0

    def start(self, now_ms: int) -> bool:
        """Whether a process may be started for texts that wait; note that it was."""
        if now_ms < self.may_start_ms:
            return False
        self.state = State.LOADING
        self._used_ms = now_ms
        return True

    def opened(self, tag: bytes, now_ms: int) -> None:
        """Take note that the model is loaded."""
        self.state, self.tag, self._used_ms = State.READY, tag, now_ms

    def served(self, now_ms: int) -> None:
        """Take note that a batch was embedded."""
        self.cause, self.failures, self._used_ms = None, 0, now_ms

    def ended(self, now_ms: int, unusable: Unusable | None = None) -> None:
        """Take note that the process ended by itself, was lost, or has no model."""
        self.state = State.WAITING
        if unusable is not None:
            pause = UNUSABLE_PAUSE_MS << self.failures
        elif self.failures:
            pause = FIRST_PAUSE_MS << (self.failures - 1)
        else:
            pause = 0
        pause = min(pause, LONGEST_PAUSE_MS)
        self.failures = min(self.failures + 1, _MOST_DOUBLINGS)
        self.may_start_ms = now_ms + pause
        self.cause = _LOST if unusable is None else _explain(unusable)

    def stopped(self) -> None:
        """Take note that the process was stopped because nobody needed it."""
        self.state = State.IDLE

    def idle_left_ms(self, now_ms: int) -> int:
        """Return for how long a process that has nothing to do is kept."""
        return max(0, self._used_ms + self.idle_ms - now_ms)


_LOST: Final = (
    "The process that embeds ended unexpectedly; it is started again. If that goes on,"
    " look whether memory is short."
)
_FAULTS: Final = {
    "libraries": (
        "The libraries for embeddings are not installed; 'make meaning' installs them."
    ),
    "files": "The folder of the model lacks model.safetensors or tokenizer.json.",
    "pooling": "The model does not average its words; take one that does.",
    "model": (
        "The model cannot be loaded: its folder is damaged or of an unknown kind. Put a"
        " whole copy in its place, or take the setting 'model' out."
    ),
}


def _explain(unusable: Unusable) -> str:
    if unusable.fault == "dimension":
        return (
            f"The model makes vectors of {unusable.detail} numbers; this program keeps"
            " those of 384. Name another model, or take the setting 'model' out."
        )
    return _FAULTS[unusable.fault]
