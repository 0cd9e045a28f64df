"""What happens to a simulated swarm: writes, trouble, and then calm.

`SWARM_SEED=1234` makes a test run this one schedule, `SWARM_SCHEDULES=100000` as many,
beginning with seed 0.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from tests.support.sim_device import Replica, SimDevice
from tests.support.swarm import Swarm

SCHEDULES: Final = int(os.environ.get("SWARM_SCHEDULES", "400"))
SEED: Final = os.environ.get("SWARM_SEED")
BAD_MS: Final = 5000
CALM_MS: Final = 30_000
"""How long a swarm may take after everything has healed."""


def seeds(share: float) -> list[int]:
    """Return the seeds to run."""
    return [int(SEED)] if SEED else list(range(max(1, int(SCHEDULES * share))))


@contextmanager
def named(seed: int) -> Iterator[None]:
    """Say which schedule failed, and how to run it alone."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"SWARM_SEED={seed} runs this schedule alone")
        raise


def ways_of(swarm: Swarm[Replica]) -> set[tuple[int, int]]:
    """Return a random connected network: often a chain, sometimes everybody.

    The last device is at an end, for it may be removed.
    """
    dice = swarm.net.dice
    count = len(swarm.devices)
    order = [*dice.sample(range(count - 1), count - 1), count - 1]
    pairs = {(order[at], order[dice.randrange(at)]) for at in range(1, count)}
    if dice.random() < 0.4:
        pairs = {(a, b) for a in range(count) for b in range(count) if a < b}
    return {(min(pair), max(pair)) for pair in pairs}


def trouble(swarm: Swarm[Replica], until_ms: int) -> None:
    """Cut links, part the network, crash and restart devices, all at random."""
    net, dice = swarm.net, swarm.net.dice
    ways = set(swarm.ways)

    def strike() -> None:
        if net.now_ms >= until_ms:
            return
        kind = dice.random()
        device = dice.choice(swarm.devices)
        if kind < 0.3 and swarm.links():
            dice.choice(swarm.links()).cut()
        elif kind < 0.6 and device.is_running:
            device.crash()
            net.after(dice.uniform(0, 2000), device.start)
        elif kind < 0.8:
            swarm.ways = {each for each in ways if dice.random() < 0.5}
            for link in swarm.links():
                if dice.random() < 0.5:
                    link.cut()
        else:
            swarm.ways = set(ways)
        net.after(dice.uniform(20, 1500), strike)

    strike()


def heal(swarm: Swarm[Replica], ways: set[tuple[int, int]]) -> None:
    """End all trouble."""
    swarm.ways = ways
    swarm.is_restless = False
    for device in swarm.devices:
        device.start()


def settle(swarm: Swarm[Replica], seed: int) -> None:
    """Wait until the swarm is in step; it fails if that does not come."""
    end_ms = swarm.net.now_ms + CALM_MS
    while not swarm.is_in_step():
        assert swarm.net.now_ms < end_ms, f"seed {seed}: not in step"
        swarm.net.run_until(swarm.net.now_ms + 250)


def edits(
    swarm: Swarm[Replica], writers: list[SimDevice[Replica]], count: int, until_ms: int
) -> None:
    """Let devices write at random times: mostly little, at times much."""
    dice = swarm.net.dice
    for _ in range(count):
        size = dice.choice([10, 10, 10, 300, 20_000, 300_000])
        device = dice.choice(writers)
        swarm.net.after(dice.uniform(0, until_ms), partial(device.write, size))


def live(swarm: Swarm[Replica], seed: int, writes: int) -> Swarm[Replica]:
    """Run a swarm through some bad seconds, then let it come into step."""
    swarm.ways = ways = ways_of(swarm)
    swarm.dial()
    edits(swarm, swarm.devices, writes, BAD_MS)
    trouble(swarm, BAD_MS)
    swarm.net.run_until(BAD_MS)
    heal(swarm, ways)
    settle(swarm, seed)
    return swarm
