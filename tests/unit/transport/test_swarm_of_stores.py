"""Swarms of real replicas come into step as the models do, if in fewer schedules."""

from contextlib import ExitStack, closing
from functools import partial
from typing import Final

from tests.support.replicas import scratch_folder
from tests.support.schedules import BAD_MS, live, named, seeds, settle
from tests.support.stored_replica import StoredReplica
from tests.support.swarm import Swarm
from transport.sync_sending import MANY_ENVELOPES

SHARE: Final = 0.01


def test_stores_come_into_step() -> None:
    """Three stores that crash, part and prune show the same in the end."""
    for seed in seeds(SHARE):
        with named(seed), scratch_folder() as folder, ExitStack() as stack:
            replicas = [
                stack.enter_context(closing(StoredReplica(folder, number)))
                for number in range(3)
            ]
            swarm = Swarm(seed, replicas)
            for device in swarm.devices:
                swarm.net.after(BAD_MS / 2, device.replica.prune)
            live(swarm, seed, 20)


def test_a_new_store_gets_a_checkpoint() -> None:
    """A store that lacks hundreds of envelopes is given a checkpoint and the rest."""
    for seed in seeds(SHARE / 6):
        with named(seed), scratch_folder() as folder, ExitStack() as stack:
            replicas = [
                stack.enter_context(closing(StoredReplica(folder, number)))
                for number in range(3)
            ]
            for _ in range(MANY_ENVELOPES + 10):
                replicas[0].write(b"x")
            swarm = Swarm(seed, replicas)
            swarm.ways = {(0, 1), (0, 2), (1, 2)}
            swarm.dial()
            for device in swarm.devices:
                swarm.net.after(20, partial(device.write, 10))

            settle(swarm, seed)

            assert replicas[2].after(replicas[0].me, 0, 1) == []
