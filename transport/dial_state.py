"""What the dialling of one device remembers, when it tries next, and why it has to."""

from dataclasses import dataclass
from typing import Final

from transport.addresses import Address
from transport.reasons import (
    Awaited,
    ClockSkew,
    Dialling,
    Doubtful,
    Failed,
    Failure,
    FailureCause,
    Linked,
    NeverSeen,
    NoAddress,
    NoRoute,
    Reason,
    Refused,
)

FIRST_WAIT_MS: Final = 500
MAX_WAIT_MS: Final = 30_000
"""No wait between two dials is longer."""
MIN_GAP_MS: Final = 500
"""No two dials to one device begin closer together."""
NEWS_GAP_MS: Final = 2_000
"""News of a device, which may be false, bring its next dial forward to this gap."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One dial that runs."""

    number: int
    addresses: int
    """How many addresses it tries."""
    started_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How the last dial ended."""

    failure: Failure
    tried: int
    at_ms: int


@dataclass(slots=True)
class PeerState:
    """One device to which there should be a link."""

    due_ms: int
    """When to dial, as long as there is no sound link and no dial runs."""
    addresses: tuple[Address, ...] = ()
    attempt: Attempt | None = None
    started_ms: int | None = None
    """When the last dial began."""
    failures: int = 0
    """Dials in vain since things last looked well."""
    last: Ended | None = None
    linked_ms: int | None = None
    """Since when there is a link, None if there is none."""
    seen_ms: int | None = None
    """When a link last began or ended."""
    is_doubtful: bool = False
    """Whether the device is silent on its link."""
    has_news: bool = False
    """Whether something was learnt while the dial ran."""
    was_held: bool = False
    """Whether the device's own offer held back the next dial."""

    @property
    def is_sound(self) -> bool:
        """Whether there is a link that nobody doubts."""
        return self.linked_ms is not None and not self.is_doubtful

    def schedule(self, at_ms: int) -> None:
        """Dial at a time, or as soon after it as the gap allows."""
        self.due_ms = self._after_gap(at_ms, MIN_GAP_MS)

    def hear_news(self, at_ms: int) -> None:
        """Dial at a time if that is sooner than planned: there is more to try."""
        self.has_news = self.attempt is not None
        if not self.was_held:
            self.due_ms = min(self.due_ms, self._after_gap(at_ms, NEWS_GAP_MS))

    def start(self, attempt: Attempt) -> None:
        """Take in that a dial begins."""
        self.attempt, self.started_ms = attempt, attempt.started_ms
        self.was_held = self.has_news = False

    def fail(self, failure: Failure, tried: int, now_ms: int, chance: float) -> None:
        """Take in a dial in vain: wait twice as long as before, within bounds.

        `chance`, from 0 to below 1, takes off up to a half: devices that lost each
        other at one moment shall not meet in every try.
        """
        self.last = Ended(failure, tried, now_ms)
        self.failures += 1
        doublings = min(self.failures - 1, MAX_WAIT_MS.bit_length())
        wait_ms = min(FIRST_WAIT_MS << doublings, MAX_WAIT_MS)
        at_ms = now_ms + round(wait_ms * (1 - chance / 2))
        self.due_ms = self._after_gap(at_ms, MIN_GAP_MS)
        if self.has_news:
            self.hear_news(now_ms)

    def _after_gap(self, at_ms: int, gap_ms: int) -> int:
        return (
            at_ms if self.started_ms is None else max(at_ms, self.started_ms + gap_ms)
        )


def reason_of(state: PeerState, now_ms: int) -> Reason:
    """Return how things stand with a device that is wanted.

    While dials fail, the reason stays that of the last failure, also during the next
    dial: it would flicker otherwise.
    """
    if state.linked_ms is not None:
        for_ms = now_ms - state.linked_ms
        return Doubtful(for_ms) if state.is_doubtful else Linked(for_ms)
    if state.last is not None:
        return _reason_of_failure(state, state.last, now_ms)
    if state.attempt is not None:
        return Dialling(state.attempt.addresses, now_ms - state.attempt.started_ms)
    return Awaited()


def _reason_of_failure(state: PeerState, last: Ended, now_ms: int) -> Reason:
    ago_ms = now_ms - last.at_ms
    next_in_ms = 0 if state.attempt is not None else max(0, state.due_ms - now_ms)
    match last.failure.cause:
        case FailureCause.NO_ADDRESS:
            seen_ms = state.seen_ms
            return NeverSeen() if seen_ms is None else NoAddress(now_ms - seen_ms)
        case FailureCause.UNREACHABLE:
            return NoRoute(last.tried, ago_ms, next_in_ms)
        case FailureCause.CLOCK:
            return ClockSkew(last.failure.skew_ms)
        case FailureCause.REFUSED:
            return Refused(ago_ms)
        case cause:
            return Failed(cause, ago_ms, next_in_ms)
