"""Whatever is written on which of several devices, all come to show the same."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.database import Database
from crdt.envelope import Envelope
from crdt.rebuild import rebuild
from tests.support.histories import Write, perform, writes
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Device,
    content,
    deliver,
    living,
    scratch_folder,
)

DEVICES: Final = 3


@dataclass(frozen=True)
class Meeting:
    """One device gives another some of what the other lacks, some of it twice."""

    giver: int
    taker: int
    count: int
    again: bool = False
    by_author: bool = False


@dataclass
class Team:
    """Running devices, all their envelopes, and how many of each author each holds."""

    devices: Sequence[Device]
    log: list[tuple[int, Envelope]] = field(default_factory=list)
    """(author, envelope) in an order in which each could have followed the others."""
    held: list[Counter[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held = [Counter() for _ in self.devices]

    def note(self, author: int) -> None:
        """Seal and add to the log what a device wrote."""
        device = self.devices[author]
        device.replica.seal()
        new = device.envelopes()[self.held[author][author] :]
        self.log += [(author, envelope) for envelope in new]
        self.held[author][author] += len(new)

    def meet(self, meeting: Meeting) -> None:
        """Deliver what the giver holds and the taker does not.

        In causal order, or author by author: a change may then come before what it
        changes.
        """
        holds, lacks = self.held[meeting.giver], self.held[meeting.taker]
        missing = [
            (author, envelope)
            for author, envelope in self.log
            if lacks[author] < envelope.header.sequence <= holds[author]
        ]
        if meeting.by_author:
            missing.sort(key=lambda found: found[0])
        taker = self.devices[meeting.taker]
        for author, envelope in missing[: meeting.count]:
            for _ in range(1 + meeting.again):
                deliver(envelope, self.devices[author].identity, taker)
            lacks[author] += 1

    def settle(self, ways: Sequence[tuple[int, int]]) -> None:
        """Deliver everything that is still under way."""
        for giver, taker in [*ways, *ways]:
            self.meet(Meeting(giver, taker, len(self.log)))


meetings = st.builds(
    Meeting,
    st.integers(0, DEVICES - 1),
    st.integers(0, DEVICES - 1),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
)
events = st.tuples(st.integers(0, DEVICES - 1), writes) | meetings
all_ways = st.permutations(
    [(a, b) for a in range(DEVICES) for b in range(DEVICES) if a != b]
)


def shown(device: Device) -> tuple[Any, ...]:
    graph = living(device.replica)
    states = {key: state for key, state in graph.states.items() if state}
    return content(device), states, graph.landmarks, graph.links


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(events, max_size=14), all_ways)
def test_devices_converge(
    history: list[tuple[int, Write] | Meeting], ways: list[tuple[int, int]]
) -> None:
    """Once each holds all envelopes, devices show the same, and shards say so too."""
    with scratch_folder() as folder:
        devices = [Device(folder / f"{number}", number) for number in range(DEVICES)]
        team = Team(devices)
        with ExitStack() as stack:
            for device in devices:
                stack.enter_context(device.running())
            for event in history:
                if isinstance(event, Meeting):
                    team.meet(event)
                else:
                    perform(devices[event[0]], event[1])
                    team.note(event[0])
            team.settle(ways)
            views = [shown(device) for device in devices]
        assert views[1:] == views[:-1]
        for device, view in zip(devices, views, strict=True):
            with Database(device.home, STORE_KEY) as database:
                rebuild(database, device.identity, SPACE_KEYS)
            with device.running():
                assert shown(device) == view
