"""Swarms of devices come into step, whatever networks and crashes do to them.

`SWARM_SEED=1234 pytest tests/unit/transport/test_swarm.py` runs one schedule;
`SWARM_SCHEDULES=100000` as many, beginning with seed 0.
"""

import os
from enum import Enum, auto
from functools import partial
from typing import Final

import msgspec

from tests.support.swarm import SimDevice, Swarm
from transport.frames import Acknowledge, Envelopes, Frame, Hello

SCHEDULES: Final = int(os.environ.get("SWARM_SCHEDULES", "1200"))
SEED: Final = os.environ.get("SWARM_SEED")
BAD_MS: Final = 5000
CALM_MS: Final = 240_000
"""How long a swarm may take after everything has healed."""


def seeds(share: float) -> list[int]:
    """Return the seeds to run."""
    return [int(SEED)] if SEED else list(range(max(1, int(SCHEDULES * share))))


def found_swarm(seed: int, size: int, members: int | None = None) -> Swarm:
    """Return a swarm whose first device has founded the space for some of them.

    Each knows the founder; not everybody has heard of everybody.
    """
    swarm = Swarm(seed, size)
    founder = swarm.devices[0]
    for device in swarm.devices[:members]:
        founder.replica.state("add", device.me)
    everything = list(founder.replica.statements.items())
    for device in swarm.devices[1:]:
        count = swarm.net.dice.choice([len(everything), 1 + device.me[0] % 3])
        device.replica.statements.update(everything[:count])
        device.replica.state("add", device.me)
    return swarm


def ways_of(swarm: Swarm) -> set[tuple[int, int]]:
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


def trouble(swarm: Swarm, until_ms: int) -> None:
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


def live(swarm: Swarm, seed: int, writes: int) -> Swarm:
    """Run a swarm through some bad seconds, then let it come into step."""
    swarm.ways = ways = ways_of(swarm)
    swarm.dial()
    edits(swarm, swarm.devices, writes, BAD_MS)
    trouble(swarm, BAD_MS)
    swarm.net.run_until(BAD_MS)
    heal(swarm, ways)
    settle(swarm, seed)
    return swarm


def test_small_swarms_come_into_step() -> None:
    """Three devices lose nothing that was acknowledged and end up the same."""
    for seed in seeds(1):
        live(found_swarm(seed, 3), seed, 8)


def test_large_swarms_come_into_step() -> None:
    """So do up to twelve devices, in whatever network."""
    for seed in seeds(0.03):
        size = 4 + seed % 9
        live(found_swarm(seed, size), seed, 5 * size)


def test_newcomers_get_what_was_pruned() -> None:
    """A device that joins late is given a checkpoint by one device, then the rest."""
    for seed in seeds(0.2):
        swarm = found_swarm(seed, 4, 3)
        newcomer = swarm.devices[3]
        for device in swarm.devices[:3]:
            swarm.net.after(1500, device.replica.prune)
            swarm.net.after(3000, device.replica.prune)
        inviter = swarm.devices[swarm.net.dice.randrange(3)]
        joined_ms = swarm.net.dice.uniform(1500, 4000)
        swarm.net.after(joined_ms, partial(join, inviter, newcomer))
        live(swarm, seed, 30)


def join(inviter: SimDevice, newcomer: SimDevice) -> None:
    """Add a device to the roster; the inviter gives it what it knows of that."""
    inviter.start()
    inviter.state("add", newcomer.me)
    newcomer.replica.receive_statements(inviter.replica.statements.values())
    newcomer.roster_changed()


def test_far_behind_means_a_checkpoint() -> None:
    """An empty device that lacks hundreds of envelopes is given a checkpoint."""
    swarm = found_swarm(1, 2)
    writer, newcomer = swarm.devices
    for _ in range(400):
        writer.write(10)
    swarm.ways = {(0, 1)}
    swarm.dial()

    settle(swarm, 1)

    assert newcomer.replica.vector == {writer.me: 400}
    assert newcomer.replica.envelopes == {writer.me: {}}


def test_a_revocation_that_is_heard_late() -> None:
    """Whatever anybody had taken of a removed device, all who remain have in the end.

    Whoever took more than the remover knew of extends the cut.
    """
    for seed in seeds(0.3):
        swarm = found_swarm(seed, 5)
        dice = swarm.net.dice
        remover, removed = swarm.devices[0], swarm.devices[4]

        def revoke(remover: SimDevice = remover, removed: SimDevice = removed) -> None:
            held = remover.replica.vector.get(removed.me, 0)
            remover.start()
            remover.state("remove", removed.me, held)

        swarm.net.after(dice.uniform(500, 4500), revoke)
        edits(swarm, [removed], 15, BAD_MS)
        live(swarm, seed, 15)
        assert removed not in swarm.members()


def test_liars_harm_nobody_else() -> None:
    """The others come into step and lose nothing, whatever one device sends."""
    for seed in seeds(0.2):
        swarm = found_swarm(seed, 4)
        honest, liar = swarm.devices[:3], swarm.devices[3]
        swarm.honest.discard(liar.me)
        liar.twist = partial(lie, swarm, swarm.net.dice.choice(list(Lie)))
        swarm.ways = {(a, b) for a in range(4) for b in range(4) if a < b}
        swarm.dial()
        edits(swarm, swarm.devices, 20, BAD_MS)
        swarm.net.run_until(BAD_MS)
        edits(swarm, honest, 3, 0)
        settle_honest(swarm, seed)


class Lie(Enum):
    """What a dishonest device does with what it should send."""

    SKIP = auto()
    REPEAT = auto()
    NO_ACKNOWLEDGEMENT = auto()
    BOAST = auto()
    REORDER = auto()


def lie(swarm: Swarm, kind: Lie, frame: Frame) -> list[Frame]:
    """Return what is sent in place of a frame."""
    match kind, frame:
        case Lie.SKIP, Envelopes():
            return [] if swarm.net.dice.random() < 0.5 else [frame]
        case Lie.REPEAT, Envelopes():
            return [frame] * 3
        case Lie.NO_ACKNOWLEDGEMENT, Acknowledge(received):
            return [frame] if received == 0 else []
        case Lie.BOAST, Hello(vector=vector):
            more = {device: count + 9 for device, count in vector.items()}
            return [msgspec.structs.replace(frame, vector=more)]
        case Lie.REORDER, Envelopes(envelopes):
            return [Envelopes(tuple(reversed(envelopes)))]
        case _:
            return [frame]


def settle_honest(swarm: Swarm, seed: int) -> None:
    """Wait until the honest devices hold the same of each other."""
    names = {each.me for each in swarm.members()}

    def has_settled() -> bool:
        held = [
            {device: each.replica.vector.get(device, 0) for device in names}
            for each in swarm.members()
        ]
        return all(each == held[0] for each in held)

    end_ms = swarm.net.now_ms + CALM_MS
    while not has_settled():
        assert swarm.net.now_ms < end_ms, f"seed {seed}: not in step"
        swarm.net.run_until(swarm.net.now_ms + 250)
