"""Swarms of devices come into step, whatever networks and crashes do to them.

`SWARM_SEED=1234 pytest tests/unit/transport/test_swarm.py` runs one schedule;
`SWARM_SCHEDULES=100000` as many, beginning with seed 0.
"""

import os
from functools import partial
from typing import Final

import pytest

from tests.support.swarm import SimDevice, Swarm

SCHEDULES: Final = int(os.environ.get("SWARM_SCHEDULES", "1200"))
SEED: Final = os.environ.get("SWARM_SEED")
CALM_MS: Final = 240_000
"""How long a swarm may take after everything has healed."""


def seeds(share: float) -> list[int]:
    """Return the seeds to run."""
    return [int(SEED)] if SEED else list(range(max(1, int(SCHEDULES * share))))


def found_swarm(seed: int, size: int, members: int) -> Swarm:
    """Return a swarm whose first device has founded the space for some of them."""
    swarm = Swarm(seed, size)
    founder = swarm.devices[0]
    for device in swarm.devices[:members]:
        founder.replica.state("add", device.me)
    for device in swarm.devices:
        known = founder.replica.statements if swarm.net.dice.random() < 0.8 else {}
        device.replica.statements.update(known or founder.replica.statements)
    return swarm


def ways_of(swarm: Swarm) -> set[tuple[int, int]]:
    """Return a random connected network: often a chain, sometimes everybody."""
    dice = swarm.net.dice
    count = len(swarm.devices)
    order = dice.sample(range(count), count)
    pairs = {(order[at], order[dice.randrange(at)]) for at in range(1, count)}
    if dice.random() < 0.4:
        pairs = {(a, b) for a in range(count) for b in range(count) if a < b}
    return {(min(pair), max(pair)) for pair in pairs}


def trouble(swarm: Swarm, until_ms: int) -> None:
    """Cut, part, crash and restart at random."""
    net, dice = swarm.net, swarm.net.dice
    ways = set(swarm.ways)

    def restart(device: SimDevice) -> None:
        device.start()

    def strike() -> None:
        if net.now_ms >= until_ms:
            return
        kind = dice.random()
        device = dice.choice(swarm.devices)
        if kind < 0.3 and swarm.links():
            dice.choice(swarm.links()).cut()
        elif kind < 0.6 and device.is_running:
            device.crash()
            net.after(dice.uniform(0, 2000), partial(restart, device))
        elif kind < 0.8:
            swarm.ways = {each for each in ways if dice.random() < 0.5}
            for link in swarm.links():
                if dice.random() < 0.5:
                    link.cut()
        else:
            swarm.ways = set(ways)
        net.after(dice.uniform(20, 1500), strike)

    strike()


def heal(swarm: Swarm, ways: set[tuple[int, int]]) -> None:
    """End all trouble."""
    swarm.ways = ways
    for device in swarm.devices:
        device.start()


def settle(swarm: Swarm, seed: int) -> None:
    """Wait until the swarm is in step; it fails if that does not come."""
    end_ms = swarm.net.now_ms + CALM_MS
    while not swarm.is_in_step():
        assert swarm.net.now_ms < end_ms, f"seed {seed}: not in step"
        swarm.net.run_until(swarm.net.now_ms + 250)


def edits(swarm: Swarm, writers: list[SimDevice], count: int, until_ms: int) -> None:
    """Let devices write at random times: mostly little, at times much."""
    dice = swarm.net.dice
    for _ in range(count):
        size = dice.choice([10, 10, 10, 300, 20_000, 300_000])
        device = dice.choice(writers)
        swarm.net.after(dice.uniform(0, until_ms), partial(device.write, size))


def live(seed: int, size: int, writes: int) -> Swarm:
    """Run a swarm through some bad seconds, then let it come into step."""
    swarm = found_swarm(seed, size, size)
    swarm.ways = ways = ways_of(swarm)
    swarm.dial()
    edits(swarm, swarm.devices, writes, 5000)
    trouble(swarm, 5000)
    swarm.net.run_until(5000)
    heal(swarm, ways)
    settle(swarm, seed)
    return swarm


@pytest.mark.parametrize("share", [1.0])
def test_small_swarms_come_into_step(share: float) -> None:
    """Three devices lose nothing that was acknowledged and end up the same."""
    for seed in seeds(share):
        live(seed, 3, 8)
