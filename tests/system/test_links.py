"""Links between processes, and what becomes of them when one dies."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport.addresses import Address
from transport.endpoint import post
from transport.link import Link, LinkClosedError, LinkEnd
from transport.switchboard import Switchboard

REPOSITORY: Final = Path(__file__).parents[2]
NOTICED_SECONDS: Final = 9.0
"""Three checks of consent in the worst case; the mean is 6."""


@contextmanager
def other_device() -> Iterator[tuple[subprocess.Popen[str], Address]]:
    """Run the higher device in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.link_process"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield process, Address("127.0.0.1", port)
        finally:
            process.kill()


async def dial(here: Switchboard, address: Address) -> Link:
    """Make a link to the other process and see that it works."""
    link = await here.dial(HIGHER.device, partial(post, address, "signal"))
    await link.send(b"hello")
    assert await link.receive() == b"hello"
    return link


async def test_a_killed_device_is_noticed_and_met_again() -> None:
    """After `kill -9` the link is over within seconds; the next process is dialled."""
    async with asyncio.timeout(60), Switchboard(LOWER, ROSTER.get) as here:
        with other_device() as (process, address):
            link = await dial(here, address)
            process.kill()
            killed = time.monotonic()

            with pytest.raises(LinkClosedError) as caught:
                await link.receive()

            assert caught.value.end is LinkEnd.LOST
            assert time.monotonic() - killed < NOTICED_SECONDS
        with other_device() as (_, address):
            await dial(here, address)


async def test_a_stopped_device_goes_on() -> None:
    """A process that stood still for a moment loses neither link nor frame."""
    async with asyncio.timeout(60), Switchboard(LOWER, ROSTER.get) as here:
        with other_device() as (process, address):
            link = await dial(here, address)
            os.kill(process.pid, signal.SIGSTOP)
            await link.send(b"while you slept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await link.receive()
            os.kill(process.pid, signal.SIGCONT)

            assert await link.receive() == b"while you slept"
