"""What rises, falls or bursts in the history of a graph, told from chance.

Three questions are asked of each node, each answered by how likely chance alone would
give as much (a p-value):

- *rising* and *falling*: of all hours in which the node was pulsed, in the window and
  in up to four windows before it, more or fewer lie in the window than its share of the
  time. Hours, not pulses, so that one busy minute is no trend.
- *burst*: of all minutes with a pulse in the window, many lie in one 24th of it. The
  window is cut into such pieces twice, the second time shifted by half of one, and the
  p-value of the fullest is multiplied by their number.

Of all answers those are kept that the procedure of Benjamini and Hochberg ("Controlling
the false discovery rate", 1995) keeps at `FALSE_SHARE`: on average at most so much of
what is told is chance, however many nodes there are.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["rising", "falling", "burst"]

FALSE_SHARE: Final = 0.01
BEFORE: Final = 4
"""Windows before the present one that it is compared with, if the node is so old."""
PIECES: Final = 24
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class History:
    """When a node was pulsed, and since when there is anything to know."""

    node: int
    times_ms: Sequence[int]
    known_since_ms: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something that chance does not explain."""

    node: int
    kind: Kind
    count: int
    """Hours with a pulse in the window; of a burst, minutes in its piece."""
    expected: float
    """As many as chance would give on average."""
    chance: float
    """How likely chance alone would give as much."""
    start_ms: int
    """Of the window, or of the piece that bursts."""


def patterns(
    histories: Iterable[History], window_ms: int, now_ms: int
) -> tuple[list[Pattern], int]:
    """Return what is not chance, the least likely first, and how much was asked."""
    asked: list[Pattern] = []
    for history in histories:
        asked += _trend(history, window_ms, now_ms)
        asked += _burst(history, window_ms, now_ms)
    asked.sort(key=lambda pattern: (pattern.chance, pattern.node, pattern.kind))
    kept = 0
    for place, pattern in enumerate(asked, 1):
        if pattern.chance <= FALSE_SHARE * place / len(asked):
            kept = place
    return asked[:kept], len(asked)


def _trend(history: History, window_ms: int, now_ms: int) -> list[Pattern]:
    """Return the likelier of rising and falling, with its chance."""
    start = now_ms - window_ms
    since = max(start - BEFORE * window_ms, history.known_since_ms)
    if start - since < window_ms:
        return []
    share = window_ms / (now_ms - since)
    hours = {time // _HOUR_MS for time in history.times_ms if since <= time < now_ms}
    inside = sum(hour * _HOUR_MS >= start for hour in hours)
    if not hours:
        return []
    expected = len(hours) * share
    kind: Kind = "rising" if inside >= expected else "falling"
    tail = at_least if kind == "rising" else at_most
    # Either way was looked at, so each has half of the chance.
    chance = min(1.0, 2 * tail(inside, len(hours), share))
    return [Pattern(history.node, kind, inside, expected, chance, start)]


def _burst(history: History, window_ms: int, now_ms: int) -> list[Pattern]:
    start = now_ms - window_ms
    minutes = {
        time // _MINUTE_MS for time in history.times_ms if start <= time < now_ms
    }
    if not minutes:
        return []
    half = window_ms / PIECES / 2
    halves = Counter(
        min(int((minute * _MINUTE_MS - start) / half), 2 * PIECES - 1)
        for minute in minutes
        if minute * _MINUTE_MS >= start
    )
    places = range(2 * PIECES - 1)
    fullest = max(places, key=lambda at: (halves[at] + halves[at + 1], -at))
    count = halves[fullest] + halves[fullest + 1]
    total = len(minutes)
    chance = min(1.0, len(places) * at_least(count, total, 1 / PIECES))
    piece_start = start + int(fullest * half)
    return [Pattern(history.node, "burst", count, total / PIECES, chance, piece_start)]


def at_least(count: int, total: int, share: float) -> float:
    """Return the chance of `count` or more of `total`, each with chance `share`."""
    return min(1.0, math.fsum(_chances(range(count, total + 1), total, share)))


def at_most(count: int, total: int, share: float) -> float:
    """Return the chance of `count` or fewer of `total`, each with chance `share`."""
    return min(1.0, math.fsum(_chances(range(count, -1, -1), total, share)))


def _chances(counts: Iterable[int], total: int, share: float) -> Iterable[float]:
    """Yield binomial chances, until they are too small to matter."""
    if share >= 1.0:
        yield from (1.0 for count in counts if count == total)
        return
    whole = math.lgamma(total + 1)
    greatest = 0.0
    for count in counts:
        chance = math.exp(
            whole
            - math.lgamma(count + 1)
            - math.lgamma(total - count + 1)
            + count * math.log(share)
            + (total - count) * math.log1p(-share)
        )
        greatest = max(greatest, chance)
        if chance < greatest * 1e-12:
            return
        yield chance
