"""Swarms of devices come into step, whatever networks and crashes do to them.

`SWARM_SEED=1234 pytest tests/unit/transport/test_swarm.py` runs one schedule;
`SWARM_SCHEDULES=100000` as many, beginning with seed 0.
"""

from enum import Enum, auto
from functools import partial
from typing import TypeAlias

import msgspec

from tests.support.model_replica import ModelReplica
from tests.support.schedules import BAD_MS, CALM_MS, edits, live, named, seeds, settle
from tests.support.sim_device import SimDevice, device_id
from tests.support.swarm import Swarm
from transport.frames import Acknowledge, Envelopes, Frame, Hello
from transport.sync_actions import Standing

Models: TypeAlias = Swarm[ModelReplica]
Model: TypeAlias = SimDevice[ModelReplica]


def found_swarm(seed: int, size: int, members: int | None = None) -> Models:
    """Return a swarm whose first device has founded the space for some of them.

    Each knows the founder; not everybody has heard of everybody.
    """
    models = [ModelReplica(device_id(number)) for number in range(1, size + 1)]
    swarm = Swarm(seed, models)
    founder = swarm.devices[0]
    for device in swarm.devices[:members]:
        founder.replica.state("add", device.me)
    everything = list(founder.replica.statements.items())
    for device in swarm.devices[1:]:
        count = swarm.net.dice.choice([len(everything), 1 + device.me[0] % 3])
        device.replica.statements.update(everything[:count])
        device.replica.state("add", device.me)
    return swarm


def test_small_swarms_come_into_step() -> None:
    """Three devices lose nothing that was acknowledged and end up the same."""
    for seed in seeds(1):
        with named(seed):
            live(found_swarm(seed, 3), seed, 8)


def test_large_swarms_come_into_step() -> None:
    """So do up to twelve devices, in whatever network."""
    for seed in seeds(0.03):
        with named(seed):
            size = 4 + seed % 9
            live(found_swarm(seed, size), seed, 5 * size)


def test_newcomers_get_what_was_pruned() -> None:
    """A device that joins late is given a checkpoint by one device, then the rest."""
    for seed in seeds(0.2):
        with named(seed):
            swarm = found_swarm(seed, 4, 3)
            newcomer = swarm.devices[3]
            for device in swarm.devices[:3]:
                swarm.net.after(1500, device.replica.prune)
                swarm.net.after(3000, device.replica.prune)
            inviter = swarm.devices[swarm.net.dice.randrange(3)]
            joined_ms = swarm.net.dice.uniform(1500, 4000)
            swarm.net.after(joined_ms, partial(join, inviter, newcomer))
            live(swarm, seed, 30)


def join(inviter: Model, newcomer: Model) -> None:
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
        with named(seed):
            swarm = found_swarm(seed, 5)
            dice = swarm.net.dice
            remover, removed = swarm.devices[0], swarm.devices[4]

            def revoke(remover: Model = remover, removed: Model = removed) -> None:
                held = remover.replica.vector.get(removed.me, 0)
                remover.start()
                remover.state("remove", removed.me, held)

            swarm.net.after(dice.uniform(500, 4500), revoke)
            edits(swarm, [removed], 15, BAD_MS)
            live(swarm, seed, 15)
            assert removed not in swarm.members()
            wait_until_told(swarm, removed, seed)


def wait_until_told(swarm: Models, removed: Model, seed: int) -> None:
    """Wait until a removed device knows, and nobody talks to it."""
    end_ms = swarm.net.now_ms + CALM_MS
    is_removed = Standing.REMOVED
    while removed.replica.standing(removed.me) is not is_removed or removed.sessions:
        assert swarm.net.now_ms < end_ms, f"seed {seed}: removed and not told"
        swarm.ways = {way for way in swarm.ways if is_new_to(swarm, removed, way)}
        swarm.net.run_until(swarm.net.now_ms + 250)


def is_new_to(swarm: Models, removed: Model, way: tuple[int, int]) -> bool:
    """Whether a way is still of use: nobody dials a device that knows it is removed."""
    knows = removed.replica.standing(removed.me) is Standing.REMOVED
    return not (knows and removed in {swarm.devices[index] for index in way})


def test_heavy_loads_keep_to_the_credit() -> None:
    """Megabytes in both directions come over, and never more at once than agreed."""
    for seed in seeds(0.01):
        with named(seed):
            swarm = found_swarm(seed, 3)
            for device in swarm.devices:
                for _ in range(12):
                    device.write(900_000)
            live(swarm, seed, 10)


def test_liars_harm_nobody_else() -> None:
    """The others come into step and lose nothing, whatever one device sends."""
    for seed in seeds(0.2):
        with named(seed):
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


def lie(swarm: Models, kind: Lie, frame: Frame) -> list[Frame]:
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


def settle_honest(swarm: Models, seed: int) -> None:
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
