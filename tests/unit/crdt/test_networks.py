"""Half-lives of networks: set on one device, right on all, harmless if they differ."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from crdt.commands import DeleteNode, PatchNode, Pulse, PutNode
from crdt.energy import HALF_LIFE, HOUR_MS
from crdt.ids import NodeKey
from crdt.networks import half_life_of, network_of, settings_key
from crdt.records import Node
from tests.support.replicas import START_MS, Device, deliver, living, scratch_folder

LATER = START_MS + 48 * HOUR_MS


def setting(hours: Any) -> PutNode:
    return PutNode("network/work", "work", metadata={"half_life_hours": hours})


def atp(device: Device, key: str, now_ms: int = LATER) -> float:
    index = device.replica.index
    return index.atp(index.keys.number(key), now_ms)


def exchange(*devices: Device) -> None:
    for giver in devices:
        giver.replica.seal()
        for taker in devices:
            if taker is not giver:
                for envelope in giver.envelopes():
                    deliver(envelope, taker)


@pytest.mark.parametrize("hours", [0, -1, 87_601, True, 2.5, "24", None, [24]])
def test_a_setting_without_sense_is_as_if_absent(hours: Any) -> None:
    """Whoever may write may have put it there."""
    settings = {"half_life_hours": hours}
    node = Node(NodeKey("network/x"), "x", "network", settings, "x", 1, 1, 1)

    assert half_life_of(node) == HALF_LIFE
    assert network_of(settings_key("a/b")) == "a/b"
    assert network_of("networks") is None


def test_a_network_decays_at_its_own_pace() -> None:
    """Creation and pulses are halved every day where that is set; elsewhere not."""
    with scratch_folder() as folder:
        device = Device(folder)
        with device.running() as replica:
            commands = [setting(24), PutNode("a", "a", network="work")]
            replica.apply([*commands, PutNode("b", "b"), Pulse("a", 3.0)], START_MS)

            assert atp(device, "a") == pytest.approx(1.0)
            assert atp(device, "b") == pytest.approx(2 ** (-48 / HALF_LIFE))


def test_a_change_of_the_setting_keeps_what_was_given() -> None:
    """Pulses decay as they were given; the creation decays as is set now."""
    with scratch_folder() as folder:
        device = Device(folder)
        with device.running() as replica:
            replica.apply([PutNode("a", "a", network="work")], START_MS)
            replica.apply([Pulse("a", 3.0)], START_MS)
            replica.apply([setting(24)], START_MS)
            pulse = 3 * 2 ** (-48 / HALF_LIFE)
            assert atp(device, "a") == pytest.approx(0.25 + pulse)
            replica.apply([Pulse("a", 8.0)], START_MS)
            assert atp(device, "a") == pytest.approx(0.25 + pulse + 2)
            replica.apply([DeleteNode("network/work")], START_MS)
            usual = 2 ** (-48 / HALF_LIFE)
            assert atp(device, "a") == pytest.approx(usual + pulse + 2)
            replica.apply([setting(24)], START_MS)
            assert atp(device, "a") == pytest.approx(0.25 + pulse + 2)
            replica.apply([PatchNode("a", network="other")], START_MS)
            assert atp(device, "a") == pytest.approx(usual + pulse + 2)


def test_a_half_life_that_a_group_leaves_again_leaves_no_trace() -> None:
    """A new, a moved and a pulsed node count as if it had never been."""
    with scratch_folder() as folder:
        device = Device(folder)
        with device.running() as replica:
            replica.apply([PutNode("moved", "m"), PutNode("pulsed", "p")], START_MS)
            replica.apply([PatchNode("pulsed", network="work")], START_MS)
            moving = PatchNode("moved", network="work")
            new = PutNode("new", "n", network="work")
            pulse = Pulse("pulsed", 3.0)
            replica.apply([setting(24), moving, new, setting(HALF_LIFE)], START_MS)
            replica.apply([setting(24), pulse, setting(HALF_LIFE)], START_MS)
            usual = 2 ** (-48 / HALF_LIFE)
            assert atp(device, "moved") == atp(device, "new") == pytest.approx(usual)
            assert atp(device, "pulsed") == pytest.approx(usual + 3 / 4)


def started_again(device: Device, *, clean: bool) -> Any:
    with device.running(clean=clean) as replica:
        return living(replica)


@pytest.mark.parametrize("clean", [True, False])
def test_a_start_finds_the_same_energies(clean: bool) -> None:  # noqa: FBT001  # a parameter
    """From saved columns and without them, half-lives count as before."""
    with scratch_folder() as folder:
        device = Device(folder)
        with device.running(clean=clean) as replica:
            commands = [PutNode("a", "a", network="work"), PutNode("b", "b")]
            replica.apply([*commands, Pulse("a")], START_MS)
            replica.save_index(at_least=0)
            replica.apply([setting(24), Pulse("a", 2.0)], START_MS)
            before = living(replica)
            assert replica.index.half_lives == {"work": 24}
        assert started_again(device, clean=clean) == before
        with device.running() as replica:
            replica.save_index(at_least=0)
        assert started_again(device, clean=True) == before


def test_devices_that_differ_show_the_same_in_the_end(tmp_path: Path) -> None:
    """One sets a half-life that the other does not know of: the sum is the same."""
    devices = [Device(tmp_path / f"{number}", number) for number in range(2)]
    with ExitStack() as stack:
        for device in devices:
            stack.enter_context(device.running())
        here, there = devices
        here.replica.apply([PutNode("a", "a", network="work")], START_MS)
        exchange(*devices)
        here.replica.apply([setting(24), Pulse("a", 4.0)], START_MS)
        there.replica.apply([Pulse("a", 8.0)], START_MS)
        exchange(*devices)
        both = 0.25 + 4 / 4 + 8 * 2 ** (-48 / HALF_LIFE)

        assert atp(here, "a") == atp(there, "a") == pytest.approx(both)
        assert living(here.replica) == living(there.replica)
