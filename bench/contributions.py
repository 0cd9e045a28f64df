"""What consensus costs: made-up contributions, twenty to a thought."""

import asyncio
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from bench.report import Figure, spread
from consensus.contribution import Contribution, contribute
from consensus.invitations import InviteTree
from consensus.model_tag import DIMENSION
from consensus.resonance import Resonance
from consensus.result import Result
from consensus.rule import Preset
from crdt.closeness import quantise
from crdt.ids import CircleId
from daemon.circles.collective import Collective, Sources
from daemon.metrics import Metrics
from daemon.stalls import stalls_watched

LARGEST: Final = 100_000
_CIRCLE: Final = bytes(32)
_TO_A_THOUGHT: Final = 20
_BY_AN_AUTHOR: Final = 2
_NOISE: Final = 0.6
_ONE_BY_ONE: Final = 300
_LOOKS: Final = 30


def measure_contributions(count: int, seed: int) -> Iterator[Figure]:
    """Yield the figures of a circle with `count` contributions, up to 100,000."""
    if count > LARGEST:
        return
    made = _contributions(count, seed)
    resonance = Resonance(_CIRCLE, Preset.STRICT)
    founders = InviteTree({})

    started = time.perf_counter()
    resonance.put([next(made) for _ in range(count)])
    resonance.result(founders)
    yield Figure("first consensus", count, "s", time.perf_counter() - started)

    inserts: list[float] = []
    looks: list[float] = []
    for number in range(_ONE_BY_ONE):
        one = [next(made)]
        started = time.perf_counter()
        resonance.put(one)
        inserts.append((time.perf_counter() - started) * 1000)
        if number % (_ONE_BY_ONE // _LOOKS) == 0:
            started = time.perf_counter()
            resonance.result(founders)
            looks.append((time.perf_counter() - started) * 1000)
    yield spread("one more contribution", count, "ms", inserts)
    yield spread("consensus after ten more", count, "ms", looks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak RSS of consensus", count, "MB", peak)
    del resonance
    stall = asyncio.run(_longest_wait(count, seed))
    yield Figure("event loop's longest wait for consensus", count, "ms", stall * 1000)


async def _longest_wait(count: int, seed: int) -> float:
    """Return how late the event loop ran while a circle was looked at, in seconds."""
    made = _contributions(count, seed)
    records = [next(made) for _ in range(count)]
    metrics = Metrics()

    async def contributions() -> list[Contribution]:
        return records

    async def note(_: Result) -> None:
        return

    with ThreadPoolExecutor(1) as threads:
        collective = Collective(
            CircleId(_CIRCLE),
            Preset.STRICT,
            Sources(contributions, dict),
            threads,
            note=note,
        )
        async with collective:
            with stalls_watched(metrics):
                await collective.result()
                for _ in range(_LOOKS):
                    collective.put([next(made)])
                    await collective.result()
    return metrics.longest_stall_seconds


def _contributions(count: int, seed: int) -> Iterator[Contribution]:
    """Yield contributions without end, each near one of many thoughts."""
    dice = np.random.default_rng(seed)
    thoughts = dice.standard_normal((count // _TO_A_THOUGHT, DIMENSION))
    noise = _NOISE * np.linalg.norm(thoughts, axis=1).mean() / DIMENSION**0.5
    number = 0
    while True:
        said = thoughts[dice.integers(0, len(thoughts), 256)]
        said = said + noise * dice.standard_normal(said.shape)
        for vector in quantise(said.astype(np.float32)):
            yield contribute(
                _CIRCLE,
                (number % (count // _BY_AN_AUTHOR)).to_bytes(32),
                number.to_bytes(16),
                1,
                text="thought",
                model=bytes(8),
                vector=vector.tobytes(),
                epoch=2900,
            )
            number += 1
