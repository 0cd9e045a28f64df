"""One side of a circle's session, with records; the test is its peer."""

from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import CircleId, DeviceId
from tests.support.sim_circle_records import SimRecords
from transport.circle_actions import (
    CircleAction,
    CircleEnd,
    CircleSessionName,
    End,
    Keep,
    Load,
    Seek,
    Send,
    TakeNames,
)
from transport.circle_frames import (
    Acknowledge,
    CircleFrame,
    CircleState,
    Compare,
    Hello,
    SetSummary,
)
from transport.circle_session import CirclePhase, CircleSession

CIRCLE: Final = CircleId(b"circle of a test, of 32 bytes ok")
LOW: Final = DeviceId(b"\1" * 16)
HIGH: Final = DeviceId(b"\2" * 16)
Kind = TypeVar("Kind", bound=CircleAction)
Said = TypeVar("Said", bound=CircleFrame)


@dataclass
class Side:
    """A session with records; the test is its peer."""

    me: DeviceId = LOW
    records: SimRecords = field(default_factory=lambda: SimRecords(1))
    now_ms: int = 0
    actions: list[CircleAction] = field(default_factory=list)
    keeps: bool = True
    """Whether the records answer what they are asked to keep."""
    answered: int = 0
    """Steps of comparisons that the test has seen."""

    def __post_init__(self) -> None:
        self.records.members.update({1, 2})
        peer = HIGH if self.me == LOW else LOW
        name = CircleSessionName(CIRCLE, self.me, peer, bytes(8), 1)
        self.session = CircleSession(name, "rc1", self.records.state(), self.now_ms)
        self.do(self.session.start())

    def do(self, actions: list[CircleAction]) -> None:
        """Take note of actions, and answer what the records are asked."""
        self.actions += actions
        session, records, now_ms = self.session, self.records, self.now_ms
        for action in actions:
            match action:
                case TakeNames(kind):
                    self.do(session.names_taken(records.names(kind), now_ms))
                case Load(kind, names):
                    got = records.load(kind, names)
                    self.do(session.loaded(got.payload, got.rest, now_ms))
                case Seek(kind, names):
                    wanted = records.lacking(kind, names)
                    self.do(session.sought(kind, wanted, now_ms))
                case Keep(kind, payload) if self.keeps:
                    kept, new = records.keep(kind, payload)
                    state = records.state()
                    if new:
                        self.do(session.changed(state, kind, new, now_ms, is_own=False))
                    found = session.kept(
                        state,
                        kind,
                        len(payload),
                        kept.names,
                        now_ms,
                        new=kept.new,
                        refused=kept.refused,
                    )
                    self.do(found)
                case _:
                    pass

    def hear(self, *frames: CircleFrame) -> list[CircleAction]:
        """Let the peer say something; return what came of it."""
        at = len(self.actions)
        for frame in frames:
            self.do(self.session.receive(frame, self.now_ms))
        return self.actions[at:]

    def greet(self, there: CircleState | None = None) -> list[CircleAction]:
        """Let the peer say hello, and acknowledge ours."""
        state = there or SimRecords(9).state()
        hello = Hello((1, 1), CIRCLE, bytes(8), 1, "rc1", state)
        return self.hear(hello, Acknowledge(0, 0))

    def pass_time(self, ms: int) -> list[CircleAction]:
        """Let time pass, second by second; return what came of it."""
        at, end_ms = len(self.actions), self.now_ms + ms
        while self.now_ms < end_ms and self.session.phase is not CirclePhase.ENDED:
            self.now_ms = min(end_ms, max(self.session.due_ms, self.now_ms + 1))
            self.do(self.session.expire(self.now_ms))
        return self.actions[at:]

    def renew(self) -> None:
        """Tell the session how this side stands."""
        state = self.records.state()
        vote = ItemKind.VOTE
        self.do(self.session.changed(state, vote, [], self.now_ms, is_own=True))

    def make(self, kind: ItemKind, size: int = 100) -> ItemName:
        """Make an item here."""
        name = self.records.make(kind, size)
        state = self.records.state()
        self.do(self.session.changed(state, kind, [name], self.now_ms, is_own=True))
        return name

    def wait_compared(self) -> Compare:
        """Let time pass until a comparison begins, if it has not; return the frame."""
        while self.cause is None and len(said(self.actions, Compare)) == self.answered:
            self.pass_time(1000)
        self.answered = len(said(self.actions, Compare))
        return said(self.actions, Compare)[-1]

    @property
    def cause(self) -> CircleEnd | None:
        """Why the session ended."""
        ends = [each.cause for each in self.actions if isinstance(each, End)]
        return ends[0] if ends else None


def of(actions: list[CircleAction], kind: type[Kind]) -> list[Kind]:
    """Return the actions of one kind."""
    return [each for each in actions if isinstance(each, kind)]


def said(actions: list[CircleAction], kind: type[Said]) -> list[Said]:
    """Return the frames of one kind that were sent."""
    return [each.frame for each in of(actions, Send) if isinstance(each.frame, kind)]


def claimed(count: int, kind: ItemKind = ItemKind.VOTE) -> CircleState:
    """Return the state of a peer that says to hold items."""
    state = SimRecords(9).state()
    sets = list(state.sets)
    sets[kind] = SetSummary(count, b"\7" * 32)
    return msgspec.structs.replace(state, sets=tuple(sets))


def with_votes(count: int) -> SimRecords:
    """Return records with items."""
    records = SimRecords(1)
    records.members.add(1)
    for _ in range(count):
        records.make(ItemKind.VOTE, 10)
    return records


def payload_of(
    author: int, kind: ItemKind, sizes: list[int]
) -> tuple[bytes, list[ItemName]]:
    """Return a payload of items that a peer made, and their names."""
    maker = SimRecords(author)
    maker.members.add(author)
    names = [maker.make(kind, size) for size in sizes]
    return maker.load(kind, names).payload, names
