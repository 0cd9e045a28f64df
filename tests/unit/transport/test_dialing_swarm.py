"""Whole swarms dial while networks flap: bounds hold, and who can meet does."""

from itertools import combinations

import pytest

from tests.support.dial_swarm import ELSEWHERE, DialSwarm
from tests.support.dialling import device
from transport.dial_state import MAX_WAIT_MS
from transport.dialing import DIAL_MS

SETTLED_MS = MAX_WAIT_MS + DIAL_MS
PLACES = (ELSEWHERE, 1, 2, 3)


@pytest.mark.parametrize("seed", range(24))
def test_who_is_on_one_network_is_linked(seed: int) -> None:
    """After any flapping, devices that stay in one place link within a wait."""
    swarm = DialSwarm(size=2 + seed % 7, seed=seed)
    for _ in range(40):
        who = swarm.random.choice(list(swarm.devices))
        is_noticed = swarm.random.random() < 0.5
        swarm.move(who, swarm.random.choice(PLACES), is_noticed=is_noticed)
        swarm.run(swarm.random.choice((100, 2_000, 20_000, 90_000)))
    for each in swarm.devices:
        swarm.move(each, 1, is_noticed=swarm.random.random() < 0.5)

    swarm.run(2 * SETTLED_MS)

    lonely = [
        (one[0], other[0])
        for one, other in combinations(swarm.devices, 2)
        if not swarm.is_linked(one, other)
    ]
    assert lonely == [], f"seed {seed}"


def test_a_move_is_over_in_seconds() -> None:
    """A device that comes to another network is linked again soon after it is seen."""
    swarm = DialSwarm(size=4, seed=1)
    for each in swarm.devices:
        swarm.move(each, 1)
    swarm.run(SETTLED_MS)
    traveller, others = device(1), [device(number) for number in (2, 3, 4)]
    swarm.move(traveller, 2)
    swarm.run(600_000)
    assert not any(swarm.is_linked(traveller, each) for each in others)

    swarm.move(traveller, 1)
    swarm.run(5_000)

    assert all(swarm.is_linked(traveller, each) for each in others)


def test_the_absent_cost_little() -> None:
    """A device that is never there is dialled a few times a minute at most."""
    swarm = DialSwarm(size=3, seed=2)
    for number in (1, 2, 3):
        swarm.move(device(number), 1)
    swarm.run(SETTLED_MS)
    swarm.move(device(3), ELSEWHERE)
    swarm.run(SETTLED_MS)
    dials = swarm.devices[device(1)].dials

    swarm.run(600_000)

    assert swarm.devices[device(1)].dials - dials <= 10 * 5
