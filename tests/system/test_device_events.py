"""Who watches a device hears of the others: coming, going, progress and standing."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from daemon.event_stream import Event
from tests.support.daemons import Daemon, wait_until
from tests.support.device_groups import devices, standing, start, wait_in_step
from tests.support.replicas import scratch_folder
from tests.support.watching import Watcher, document, number, watching


@pytest.fixture
def two() -> Iterator[tuple[Daemon, Daemon]]:
    """Run a laptop and a phone of one person."""
    with scratch_folder() as folder, devices(folder, "laptop", "phone") as (a, b):
        yield a, b


def until(watcher: Watcher, is_last: Callable[[Event], bool]) -> list[Event]:
    """Return the events up to the first one for which it holds."""
    taken = []
    for event in watcher.events:
        taken.append(event)
        if is_last(event):
            return taken
    raise AssertionError(taken)


def figures(daemon: Daemon) -> dict[str, float]:
    """Return the metrics of a daemon that have no labels."""
    lines = daemon.api.request("GET", "/metrics").content.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line[0] != "#")
    return {name: float(value) for name, _, value in pairs}


def test_a_device_that_goes_and_comes_is_told(two: tuple[Daemon, Daemon]) -> None:
    """Going, standing, coming, progress and being in step again: numbered densely."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    identity = standing(laptop, phone)["id"]
    with watching(laptop.api) as watcher:
        phone.kill()
        gone = until(watcher, lambda event: event.type == "peer.offline")
        commands = [{"op": "put_node", "key": f"n{n}", "label": "x"} for n in range(50)]
        laptop.api.batch(commands)
        start(phone)
        gone += until(watcher, lambda event: event.type == "peer.online")
        back = until(
            watcher,
            lambda event: (
                event.type == "sync.state" and document(event)["state"] == "synced"
            ),
        )

    events = [*gone, *back]
    numbers = [number(event) for event in events]
    assert all(after == before + 1 for before, after in pairwise(numbers))
    kinds = [event.type for event in events if document(event)["key"] == identity]
    assert kinds.index("peer.offline") < kinds.index("peer.online")
    assert kinds.index("peer.online") < kinds.index("sync.progress")
    assert document(back[-1]).get("cause") is None
    for event in events:
        told = document(event)
        if event.type == "sync.progress":
            assert 0 <= told["done"] <= told["total"]
        if event.type == "sync.state" and told["state"] == "behind":
            assert told["cause"]


def test_figures_tell_of_links_and_what_is_pending(
    two: tuple[Daemon, Daemon],
) -> None:
    """Links, pending envelopes and stalls are figures, with values that are so."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    before = figures(laptop)
    phone.kill()
    laptop.api.put_node("while away")
    wait_until(lambda: figures(laptop)["fractality_links"] == 0)
    after = figures(laptop)

    names = ("links", "sync_pending_envelopes", "sync_stalls")
    assert [before[f"fractality_{name}"] for name in names] == [1, 0, 0]
    assert [after[f"fractality_{name}"] for name in names] == [0, 1, 0]
