"""Consensus nodes that move: what their history and their present say together.

A consensus node has few changes, each of them made by somebody; so what is told here is
a difference with its figures, not something told from chance:

- *rising* or *falling*: at least `PERSONS` more or fewer people than when the window
  began (a node that is new had none), or a resonance that is at least `SCORE` higher or
  lower with as many people;
- *burst*: at least `BURST` people joined a node within one 24th of the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["rising", "falling", "burst"]

PERSONS: Final = 2
SCORE: Final = 500
"""Basis points of resonance."""
BURST: Final = 3
PIECES: Final = 24


@dataclass(frozen=True, slots=True)
class Moment:
    """How a consensus node stood from a time on."""

    time_ms: int
    score: int
    contributor_count: int
    counted_authors: int
    member_count: int


@dataclass(frozen=True, slots=True)
class Movement:
    """What became of a consensus node."""

    kind: Kind
    since_ms: int
    before: Moment
    after: Moment


def movement(history: Sequence[Moment], window_ms: int, now_ms: int) -> Movement | None:
    """Return how a node moved, None if it did not; moments come oldest first."""
    start = now_ms - window_ms
    earlier = [each for each in history if each.time_ms <= start]
    inside = [each for each in history if start < each.time_ms <= now_ms]
    if not inside:
        return None
    before = earlier[-1] if earlier else Moment(start, inside[0].score, 0, 0, 0)
    known = [before, *inside] if earlier else inside
    burst = _burst(known, window_ms // PIECES)
    if burst is not None:
        return burst
    after = inside[-1]
    persons = after.contributor_count - before.contributor_count
    score = after.score - before.score
    if abs(persons) >= PERSONS:
        kind: Kind = "rising" if persons > 0 else "falling"
    elif persons == 0 and abs(score) >= SCORE:
        kind = "rising" if score > 0 else "falling"
    else:
        return None
    return Movement(kind, start, before, after)


def _burst(history: Sequence[Moment], piece_ms: int) -> Movement | None:
    """Return the piece of the window in which most people came, if many did."""
    best: Movement | None = None
    for at, before in enumerate(history[:-1]):
        # The state before the first change lasted until that change.
        begin = history[at + 1].time_ms
        within = [each for each in history[at + 1 :] if each.time_ms < begin + piece_ms]
        after = max(within, key=lambda each: each.contributor_count)
        came = after.contributor_count - before.contributor_count
        most = (
            0
            if best is None
            else best.after.contributor_count - best.before.contributor_count
        )
        if came >= BURST and came > most:
            best = Movement("burst", begin, before, after)
    return best
