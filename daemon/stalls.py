"""How late the event loop runs while the daemon works hard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from daemon.metrics import Metrics

_TICK_SECONDS: Final = 0.01


@asynccontextmanager
async def stalls_watched(metrics: Metrics) -> AsyncIterator[None]:
    """Note in `metrics` the longest time the loop kept a ready task waiting."""
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(_watch(metrics))
        try:
            yield
        finally:
            watcher.cancel()


async def _watch(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK_SECONDS
        await asyncio.sleep(_TICK_SECONDS)
        metrics.longest_stall_seconds = max(
            metrics.longest_stall_seconds, loop.time() - due
        )
