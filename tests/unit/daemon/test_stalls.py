"""How late the event loop runs is seen, and nothing else is changed by looking."""

import asyncio
import time

import pytest

from crdt.errors import DiskFullError
from daemon.metrics import Metrics
from daemon.stalls import stalls_watched


async def test_a_loop_that_is_kept_busy_is_noticed() -> None:
    """The longest stall is at least as long as the loop was kept, and stays."""
    metrics = Metrics()
    for seconds in (0.05, 0.0):
        with stalls_watched(metrics):
            await asyncio.sleep(0.02)
            time.sleep(seconds)  # noqa: ASYNC251  # to stall the loop is the test
            await asyncio.sleep(0.02)

    assert 0.03 < metrics.longest_stall_seconds


async def test_errors_pass_as_they_are() -> None:
    """What is raised while stalls are watched comes out unwrapped."""

    async def fail() -> None:
        with stalls_watched(Metrics()):
            await asyncio.sleep(0)
            raise DiskFullError

    with pytest.raises(DiskFullError):
        await fail()
