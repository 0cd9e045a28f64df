"""Whatever is written on which of several devices, all come to show the same."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.commands import (
    AnyCommand,
    DeleteEdge,
    DeleteNode,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.database import Database
from crdt.envelope import Envelope
from crdt.ids import NodeKey, edge_id
from crdt.rebuild import rebuild
from tests.support.histories import Write, perform, writes
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Content,
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
                deliver(envelope, taker)
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
Event: TypeAlias = tuple[int, Write] | Meeting
events = st.tuples(st.integers(0, DEVICES - 1), writes) | meetings
all_ways = st.permutations(
    [(a, b) for a in range(DEVICES) for b in range(DEVICES) if a != b]
)


def shown(device: Device) -> tuple[Any, ...]:
    graph = living(device.replica)
    states = {key: state for key, state in graph.states.items() if state}
    return content(device), states, graph.landmarks, graph.links


def run(
    folder: Path, history: Iterable[Event], ways: Sequence[tuple[int, int]]
) -> Content:
    """Play a history, deliver all, and return what every device and shard shows."""
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
    everything: Content = views[0][0]
    return everything


@settings(max_examples=settings().max_examples // 4)
@given(st.lists(events, max_size=14), all_ways)
def test_devices_converge(history: list[Event], ways: list[tuple[int, int]]) -> None:
    """Once each holds all envelopes, devices show the same, and shards say so too."""
    with scratch_folder() as folder:
        run(folder, history, ways)


def test_many_changes_converge() -> None:
    """Thousands of concurrent changes to a few hundred nodes converge as well."""
    dice = random.Random(42)

    def command() -> AnyCommand:
        key, other = (f"{dice.randrange(300)}" for _ in range(2))
        text = "".join(dice.choices("ab é😀", k=6))
        identity = edge_id(NodeKey(key), "child", NodeKey(other))
        return dice.choice(
            (
                PutNode(key, text + "!", metadata={text[0]: text}),
                PutNode(key, text + "?"),
                PatchNode(key, metadata={text[1]: dice.choice((None, 1))}),
                DeleteNode(key),
                RestoreNode(key),
                PutEdge(key, other, weight=dice.random()),
                PutEdge(key, other),
                DeleteEdge(identity),
                Pulse(key, dice.random()),
                PutBody(key, text),
            )
        )

    history: list[Event] = []
    for _ in range(150):
        group = [command() for _ in range(dice.randrange(1, 80))]
        history.append((dice.randrange(DEVICES), Write(list(group))))
        giver, taker = dice.sample(range(DEVICES), 2)
        if dice.random() < 0.3:
            by_author = dice.random() < 0.5
            history.append(
                Meeting(giver, taker, dice.randrange(20), by_author=by_author)
            )
    with scratch_folder() as folder:
        everything = run(folder, history, [(0, 1), (1, 2), (2, 0)])
    assert min(everything.counts) > 50
    assert len(everything.energy) > 50
