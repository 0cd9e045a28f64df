"""Devices of a circle come to hold the same, whatever networks and crashes do to them.

`SWARM_SEED=1234 pytest tests/unit/transport/test_circle_swarm.py` runs one schedule;
`SWARM_SCHEDULES=100000` as many, beginning with seed 0.
"""

from collections import Counter
from functools import partial
from typing import Final

from crdt.circle_items import ItemKind
from tests.support.circle_swarm import BENIGN, CircleSwarm
from tests.support.schedules import named, seeds
from transport.circle_comparing import MAX_BACK_OFF_MS

BAD_MS: Final = 5000
CALM_MS: Final = 90_000
MINUTE_MS: Final = 60_000


def found(seed: int, size: int) -> CircleSwarm:
    """Return a circle in which nobody has heard of anybody."""
    swarm = CircleSwarm(seed, size)
    for device in swarm.devices:
        device.make(ItemKind.STATEMENT, 300)
        device.make(ItemKind.CARD, 200)
    return swarm


def ways_of(swarm: CircleSwarm) -> set[tuple[int, int]]:
    """Return a random connected network: often a chain, sometimes everybody."""
    dice, count = swarm.net.dice, len(swarm.devices)
    if dice.random() < 0.4:
        return {(low, high) for high in range(count) for low in range(high)}
    order = dice.sample(range(count), count)
    pairs = [(order[at], order[dice.randrange(at)]) for at in range(1, count)]
    return {(min(pair), max(pair)) for pair in pairs}


def makes(swarm: CircleSwarm, count: int, until_ms: int) -> None:
    """Let members make things at random times."""
    dice = swarm.net.dice
    for _ in range(count):
        kind = dice.choice([*ItemKind, ItemKind.CONTRIBUTION, ItemKind.VOTE])
        size = dice.choice([10, 300, 2000, 60_000])
        device = dice.choice(swarm.devices)
        swarm.net.after(dice.uniform(0, until_ms), partial(device.make, kind, size))


def trouble(swarm: CircleSwarm, until_ms: int) -> None:
    """Cut links, part the network, crash, pause and restart devices, at random."""
    net, dice = swarm.net, swarm.net.dice
    ways = set(swarm.ways)

    def strike() -> None:
        if net.now_ms >= until_ms:
            return
        kind, device = dice.random(), dice.choice(swarm.devices)
        if kind < 0.3 and swarm.links():
            dice.choice(swarm.links()).cut()
        elif kind < 0.5 and device.is_running:
            device.crash()
            net.after(dice.uniform(0, 2000), device.start)
        elif kind < 0.6:
            device.pause(is_paused=not device.records.is_paused)
        elif kind < 0.8:
            swarm.ways = {each for each in ways if dice.random() < 0.5}
            for link in swarm.links():
                if dice.random() < 0.5:
                    link.cut()
        else:
            swarm.ways = set(ways)
        net.after(dice.uniform(20, 1500), strike)

    strike()


def heal(swarm: CircleSwarm, ways: set[tuple[int, int]]) -> None:
    """End all trouble."""
    swarm.ways = ways
    for device in swarm.devices:
        device.start()
        device.pause(is_paused=False)


def check_nothing_lost(swarm: CircleSwarm) -> None:
    """Everything that was made is held, but for cards: of those the newest."""
    for device in swarm.devices:
        for kind, name in swarm.made:
            if kind is not ItemKind.CARD:
                assert name in device.records.items[kind]
        cards = device.records.items[ItemKind.CARD].values()
        assert {each.author for each in cards} == device.records.members


def check_quiet(swarm: CircleSwarm, at_most: int = 0) -> None:
    """In a minute in which nothing happens, hardly anything is said."""
    swarm.net.run_until(swarm.net.now_ms + 2000)
    before = Counter(swarm.frames)
    swarm.net.run_until(swarm.net.now_ms + MINUTE_MS)

    assert (swarm.frames - before).total() <= at_most
    causes = {each for device in swarm.devices for each in device.ended}
    assert causes <= BENIGN


def live(swarm: CircleSwarm, writes: int) -> None:
    """Run a circle through some bad seconds, then let it come to hold the same."""
    swarm.ways = ways = ways_of(swarm)
    swarm.dial()
    makes(swarm, writes, BAD_MS)
    trouble(swarm, BAD_MS)
    swarm.net.run_until(BAD_MS)
    heal(swarm, ways)
    swarm.settle(CALM_MS)


def test_small_circles_come_to_hold_the_same() -> None:
    """Three devices lose nothing, end up with the same, and then are quiet."""
    for seed in seeds(0.0125):
        with named(seed):
            swarm = found(seed, 3)
            live(swarm, 20)
            check_nothing_lost(swarm)
            check_quiet(swarm)


def test_large_circles_come_to_hold_the_same() -> None:
    """So do up to twelve devices, in whatever network."""
    for seed in seeds(0.0125):
        with named(seed):
            size = 4 + seed % 9
            swarm = found(seed, size)
            live(swarm, 8 * size)
            check_nothing_lost(swarm)
            check_quiet(swarm)


def test_devices_that_never_meet_come_to_hold_the_same() -> None:
    """Two that are never there at one time exchange all by a third."""
    for seed in seeds(0.0125):
        with named(seed):
            swarm = found(seed, 3)
            first, second = swarm.devices[0], swarm.devices[1]
            swarm.ways = {(0, 2), (1, 2)}
            swarm.dial()
            for turn in range(6):
                away, there = (first, second) if turn % 2 else (second, first)
                away.crash()
                there.start()
                if turn < 4:
                    for _ in range(5):
                        there.make(ItemKind.CONTRIBUTION, 500)
                        there.make(ItemKind.VOTE, 50)
                swarm.net.run_until(swarm.net.now_ms + 10_000)
            first.start()

            assert first.records.state().sets == second.records.state().sets
            check_nothing_lost(swarm)


def test_refused_items_never_keep_devices_busy() -> None:
    """What one refuses is tried again ever more seldom; all else comes through."""
    for seed in seeds(0.005):
        with named(seed):
            swarm = found(seed, 4)
            swarm.ways = {(0, 1), (1, 2), (2, 3), (0, 3)}
            swarm.dial()
            swarm.net.run_until(5000)
            giver, refuser = swarm.devices[0], swarm.devices[1]
            for _ in range(20):
                giver.make(ItemKind.CONTRIBUTION, 2000)
                refuser.records.refuses.add(swarm.made[-1][1])
            swarm.net.run_until(2 * MINUTE_MS)
            refused = refuser.records.refused
            giver.make(ItemKind.VOTE, 50)
            swarm.net.run_until(6 * MINUTE_MS)

            vote = swarm.made[-1][1]
            assert all(
                vote in each.records.items[ItemKind.VOTE] for each in swarm.devices
            )
            assert refuser.records.refused - refused <= 20 * 2 * 4
            check_quiet(swarm, at_most=40)


def test_what_is_over_the_rate_comes_in_time() -> None:
    """A device that takes little at a time gets all, and is not asked often."""
    swarm = found(7, 2)
    giver, taker = swarm.devices
    for _ in range(1000):
        giver.make(ItemKind.CONTRIBUTION, 500)
    taker.records.tokens = 100

    def refill() -> None:
        taker.records.tokens = min(taker.records.tokens + 100, 100)
        swarm.net.after(MINUTE_MS, refill)

    swarm.net.after(MINUTE_MS, refill)
    swarm.ways = {(0, 1)}
    swarm.dial()
    swarm.settle(10 * MAX_BACK_OFF_MS)

    check_nothing_lost(swarm)
    assert swarm.frames["Compare"] <= 120
    assert {each for device in swarm.devices for each in device.ended} <= BENIGN


def test_what_many_give_is_mostly_given_once() -> None:
    """What seven devices could give a newcomer it gets less than twice."""
    swarm = found(3, 8)
    swarm.ways = {(low, high) for high in range(7) for low in range(high)}
    swarm.dial()
    swarm.net.run_until(3000)
    giver, *others = swarm.devices[:7]
    for _ in range(500):
        giver.records.make(ItemKind.CONTRIBUTION, 20_000)
    for made in giver.records.items[ItemKind.CONTRIBUTION].values():
        for each in others:
            each.records.take(made)
    for device in swarm.devices[:7]:
        device.renew()
    swarm.ways |= {(each, 7) for each in range(7)}
    swarm.settle(CALM_MS)

    assert len(swarm.devices[7].records.items[ItemKind.CONTRIBUTION]) == 500
    assert swarm.devices[7].records.doubles <= 500


def test_a_live_item_goes_to_each_device_about_once() -> None:
    """Where all are linked, who made an item gives it; the others only tell of it."""
    swarm = found(5, 9)
    swarm.ways = {(low, high) for high in range(9) for low in range(high)}
    swarm.dial()
    swarm.settle(CALM_MS)
    before = Counter(swarm.frames)
    swarm.devices[3].make(ItemKind.CONTRIBUTION, 2000)
    swarm.net.run_until(swarm.net.now_ms + 5000)

    sent = swarm.frames - before
    assert sent["Give"] <= 8 + 2
    assert sent["Compare"] == 0
    assert swarm.is_equal()
