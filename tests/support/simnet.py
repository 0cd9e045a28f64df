"""A network that is a priority queue: the same seed gives the same run.

A link carries frames on two channels, each in order, as real ones do: what is sent on
one may overtake the other. A link that is cut loses what is under way, and its ends
learn of it one after the other.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MAX_DELAY_MS: Final = 300


class SimNet:
    """What happens when, and the dice that decide it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now_ms = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_ms: float, call: Callable[[], None]) -> None:
        """Let something happen later; what comes at one time comes in this order."""
        self._count += 1
        when_ms = self.now_ms + max(0, int(delay_ms))
        heapq.heappush(self._events, (when_ms, self._count, call))

    def run_until(self, end_ms: int) -> None:
        """Let everything happen that is due by `end_ms`."""
        while self._events and self._events[0][0] <= end_ms:
            self.now_ms, _, call = heapq.heappop(self._events)
            call()
        self.now_ms = end_ms

    def delay_ms(self) -> float:
        """Return how long one frame takes: mostly little, at times much."""
        dice = self.dice
        return dice.uniform(0, MAX_DELAY_MS if dice.random() < 0.05 else 5)


@dataclass(slots=True)
class End:
    """What a link tells one of its two ends."""

    receive: Callable[[bytes], None]
    lose: Callable[[], None]


@dataclass(slots=True)
class SimLink:
    """A link between two ends, 0 and 1."""

    net: SimNet
    ends: tuple[End, End]
    is_up: bool = True
    _free_ms: dict[tuple[int, bool], float] = field(default_factory=dict)
    """When the last frame of a direction and channel arrives."""

    def send(self, sender: int, frame: bytes, *, is_bulk: bool) -> None:
        """Give a frame to the link, which may still lose it."""
        if not self.is_up:
            return
        way = (sender, is_bulk)
        arrival_ms = self.net.now_ms + self.net.delay_ms() + len(frame) / 100_000
        arrival_ms = self._free_ms[way] = max(arrival_ms, self._free_ms.get(way, 0))
        end = self.ends[1 - sender]
        self.net.after(
            arrival_ms - self.net.now_ms,
            lambda: end.receive(frame) if self.is_up else None,
        )

    def cut(self) -> None:
        """Lose the link and all that is on it."""
        if self.is_up:
            self.is_up = False
            for end in self.ends:
                self.net.after(self.net.dice.uniform(0, 50), end.lose)
