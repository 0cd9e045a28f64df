"""How late the event loop runs while the daemon works hard."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from daemon.metrics import Metrics

_TICK_SECONDS: Final = 0.01


@contextmanager
def stalls_watched(metrics: Metrics) -> Iterator[None]:
    """Note in `metrics` the longest time the loop kept something due waiting."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def tick(due: float) -> None:
        nonlocal timer
        metrics.longest_stall_seconds = max(
            metrics.longest_stall_seconds, loop.time() - due
        )
        timer = wind_up()

    def wind_up() -> asyncio.TimerHandle:
        due = loop.time() + _TICK_SECONDS
        return loop.call_at(due, tick, due)

    timer = wind_up()
    try:
        yield
    finally:
        timer.cancel()
