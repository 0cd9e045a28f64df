"""Devices that sign two histories, and a home that was copied and started twice."""

import shutil
from typing import Final

import pytest

from crdt.arrival import Cause
from crdt.chain import EMPTY_CHAIN, head_after
from crdt.commands import AnyCommand, PutNode
from crdt.envelope import decode
from crdt.ids import NodeKey
from crdt.payload import EnergyChange
from tests.support.exchanging import first, give, running, sealed
from tests.support.replicas import Device, content, identity, scratch_folder

A: Final = NodeKey("a")


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.monotonic_ms += 1000
    device.replica.apply(commands, device.now_ms)


def energy(amount: float = 1.0) -> EnergyChange:
    return EnergyChange(identity(1).device, ((A, amount),))


def refusals(device: Device, *envelopes: bytes) -> list[Cause]:
    received = device.replica.receive_envelopes(envelopes, device.now_ms)
    return [each.cause for each in received.refused]


@pytest.mark.parametrize("is_next", [True, False])
def test_two_histories_of_one_device_are_kept_as_proof(*, is_next: bool) -> None:
    """Another envelope under a held number, or behind another one, names the device."""
    author = identity(1)
    one, other = (first(author, energy(), salt=bytes([n] * 32)) for n in (1, 2))
    if is_next:
        other = sealed(author, head_after(decode(other)), energy(2.0))
    with scratch_folder() as home:
        here = Device(home)
        with here.running() as replica:
            assert refusals(here, one) == []
            assert list(replica.forks) == []
            assert refusals(here, other) == [Cause.FORK]
            (fork,) = replica.forks
            assert (fork.device, fork.held, fork.other) == (author.device, one, other)
            following = sealed(author, head_after(decode(one)), energy(3.0))
            assert refusals(here, following, one) == [Cause.FORK, Cause.DUPLICATE]
            assert replica.vector == {author.device: 1}
            assert refusals(here, first(identity(2), energy())) == []
        with here.running() as replica:
            assert list(replica.forks) == [fork]
            assert refusals(here, following) == [Cause.FORK]


def test_two_histories_in_one_batch_are_seen() -> None:
    """The first of two envelopes under one number is taken, the second is proof."""
    author = identity(1)
    one, other = (first(author, energy(), salt=bytes([n] * 32)) for n in (1, 2))
    with running(1) as (here,):
        assert refusals(here, one, other) == [Cause.FORK]
        (fork,) = here.replica.forks
        assert (fork.held, fork.other) == (one, other)


def test_a_forged_fork_is_no_proof() -> None:
    """Nobody is named for what they did not sign."""
    author = identity(1)
    one, other = (first(author, energy(), salt=bytes([n] * 32)) for n in (1, 2))
    with running(1) as (here,):
        assert refusals(here, one, other[:-1] + b"\0") == [Cause.FORGED]
        assert list(here.replica.forks) == []


@pytest.mark.parametrize("ahead", [False, True])
def test_a_copy_of_this_device_is_named(*, ahead: bool) -> None:
    """What bears this device's name and signature, but was not written here, tells."""
    with running(1) as (here,):
        write(here, PutNode("a", "a"))
        own = here.identity
        (written,) = here.envelopes()
        head = head_after(written) if ahead else EMPTY_CHAIN
        copied = sealed(own, head, energy())
        assert refusals(here, written.encoded) == [Cause.DUPLICATE]
        assert refusals(here, copied) == [Cause.COPY_OF_THIS_DEVICE]
        (fork,) = here.replica.forks
        assert (fork.device, fork.other) == (own.device, copied)
        write(here, PutNode("b", "b"))
        assert [each.header.sequence for each in here.envelopes()] == [1, 2]


def test_a_copied_home_started_twice_is_found_out() -> None:
    """Whoever meets both copies names the device, and so does either copy itself."""
    with scratch_folder() as folder:
        here, copied, other = (
            Device(folder / "here"),
            Device(folder / "copied"),
            Device(folder / "other", 1),
        )
        with here.running():
            write(here, PutNode("a", "a"))
        shutil.copytree(here.home, copied.home)
        copied.starts = 7  # other dice, as a machine of its own has
        with here.running(), copied.running(), other.running() as replica:
            write(here, PutNode("b", "b"))
            write(copied, PutNode("c", "c"))
            give(here, other)
            write(copied, PutNode("d", "d"))
            (refused,) = give(copied, other).refused
            assert refused.cause is Cause.FORK
            assert [fork.device for fork in replica.forks] == [here.identity.device]
            refused_there = copied.replica.receive_envelopes(
                [each.encoded for each in here.envelopes()], 0
            ).refused
            assert [each.cause for each in refused_there] == [
                Cause.DUPLICATE,
                Cause.COPY_OF_THIS_DEVICE,
            ]
            assert content(other).nodes.keys() == {"a", "b"}
