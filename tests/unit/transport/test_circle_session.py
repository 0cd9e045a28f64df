"""A session of a circle: order, pause, results, and peers that break the rules."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

import msgspec
import pytest

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import CircleId, DeviceId
from tests.support.circle_records import SimRecords
from transport.circle_actions import (
    CircleAction,
    CircleEnd,
    CircleSessionName,
    End,
    Keep,
    Load,
    Progress,
    Report,
    ResultsDiffer,
    Seek,
    Send,
    Stalled,
    TakeNames,
)
from transport.circle_comparing import MAX_ROUNDS, MAX_WITHHELD
from transport.circle_frames import (
    MAX_PAYLOAD_BYTES,
    Acknowledge,
    Ask,
    Bye,
    CircleFarewell,
    CircleFrame,
    CircleState,
    Compare,
    Give,
    Hello,
    Listed,
    SetSummary,
    Split,
    Stand,
    Tell,
)
from transport.circle_giving import WINDOW_BYTES
from transport.circle_patience import BURST, COMPARISONS_BURST, LEAST_APPETITE
from transport.circle_session import HELLO_MS, CirclePhase, CircleSession
from transport.circle_taking import MAX_USELESS_BYTES
from transport.sorted_names import key_of
from transport.stall import GIVE_UP_MS, STALL_MS

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


def test_sets_are_compared_in_their_order() -> None:
    """A set waits until those before it are equal."""
    records = SimRecords(1)
    for kind in (ItemKind.STATEMENT, ItemKind.VOTE):
        records.make(kind, 10)
    peer = SimRecords(9)
    peer.take(next(iter(records.items[ItemKind.STATEMENT].values())))
    side = Side(records=records)
    first = said(side.greet(), Compare)
    equal = side.hear(Compare(ItemKind.STATEMENT, 1, ()), Stand(peer.state()))

    assert [each.kind for each in first] == [ItemKind.STATEMENT]
    assert [each.kind for each in said(equal, Compare)] == [ItemKind.VOTE]


def test_what_is_made_is_given_at_once_and_acknowledged_once() -> None:
    """An own item goes to a peer that has nothing of it, and is not given twice."""
    side = Side()
    side.greet()
    name = side.make(ItemKind.VOTE)
    given = said(side.actions, Give)
    side.hear(Acknowledge(len(given[0].payload), 0))
    state = side.records.state()
    side.do(side.session.changed(state, ItemKind.VOTE, [name], 0, is_own=True))

    assert len(said(side.actions, Give)) == 1


def test_nothing_is_given_before_the_hello_was_heard() -> None:
    """What goes by the bulk channel does not overtake the Hello."""
    side = Side()
    side.hear(Hello((1, 1), CIRCLE, bytes(8), 1, "rc1", SimRecords(9).state()))
    side.make(ItemKind.VOTE)
    assert said(side.actions, Give) == []
    assert len(said(side.hear(Acknowledge(0, 0)), Give)) == 1


def test_what_the_peer_gave_or_told_is_not_given_back() -> None:
    """Of what came from others the names are told, but not to who had it."""
    side = Side(HIGH)
    side.greet()
    payload, names = payload_of(2, ItemKind.VOTE, [10])
    got = side.hear(Give(ItemKind.VOTE, payload))
    _, others = payload_of(2, ItemKind.VOTE, [20, 30])
    side.hear(Tell(ItemKind.VOTE, (key_of(others[0]),)))
    state = side.records.state()
    told = side.session.changed(state, ItemKind.VOTE, others, 0, is_own=False)

    assert names[0] in side.records.items[ItemKind.VOTE]
    assert said(got, Acknowledge) == [Acknowledge(len(payload), 0)]
    assert said(got, Tell) == []
    assert said(told, Tell) == [Tell(ItemKind.VOTE, (key_of(others[1]),))]


def test_what_was_told_is_asked_for_if_it_does_not_come() -> None:
    """After a moment what is lacking is asked for; what came meanwhile is not."""
    side = Side(HIGH)
    side.greet()
    payload, names = payload_of(2, ItemKind.VOTE, [10])
    _, others = payload_of(2, ItemKind.CARD, [10])
    side.hear(Tell(ItemKind.VOTE, (key_of(names[0]),)))
    side.hear(Tell(ItemKind.CARD, (key_of(others[0]),)))
    assert side.session.due_ms < 200
    side.hear(Give(ItemKind.VOTE, payload))

    asked = said(side.pass_time(300), Ask)

    assert asked == [Ask(ItemKind.CARD, (key_of(others[0]),))]


def test_what_is_asked_for_is_given() -> None:
    """An item asked for by its name is given, one that is not held is passed over."""
    side = Side(HIGH)
    name = side.records.make(ItemKind.VOTE, 10)
    side.greet()
    lost = ItemName(0, bytes(32))

    given = side.hear(Ask(ItemKind.VOTE, (key_of(lost), key_of(name))))

    assert len(said(given, Give)) == 1


def test_a_pause_stops_both_ways() -> None:
    """Who is paused neither gives nor takes nor compares; then it goes on."""
    side = Side()
    side.greet()
    side.records.is_paused = True
    side.make(ItemKind.VOTE)
    payload, names = payload_of(2, ItemKind.VOTE, [10])
    got = side.hear(Give(ItemKind.VOTE, payload))
    quiet = side.pass_time(60_000)

    assert said(side.actions, Stand)[0].state.is_paused
    assert said(side.actions, Give) == []
    assert said(quiet, Compare) == []
    assert said(got, Acknowledge) == [Acknowledge(len(payload), 1)]
    assert names[0] not in side.records.items[ItemKind.VOTE]

    side.records.is_paused = False
    side.renew()
    side.pass_time(2000)
    assert said(side.actions, Compare)


def test_who_is_told_of_a_pause_holds_back() -> None:
    """A peer that is paused is given nothing, and its questions end at once."""
    side = Side(HIGH)
    side.greet(msgspec.structs.replace(SimRecords(9).state(), is_paused=True))
    side.make(ItemKind.VOTE)
    answer = side.hear(Compare(ItemKind.VOTE, 1, (Listed(b"", b"", 8, b""),)))

    assert said(side.actions, Give) == []
    assert said(answer, Compare) == [Compare(ItemKind.VOTE, 1, ())]


def test_changes_are_told_together() -> None:
    """However often a side changes, it tells five times a second at most."""
    side = Side()
    side.greet()
    side.pass_time(5000)
    for _ in range(10):
        side.make(ItemKind.VOTE)
    assert len(said(side.actions, Stand)) == 1

    told = said(side.pass_time(300), Stand)
    assert [each.state for each in told] == [side.records.state()]


def test_results_are_compared_when_all_is_equal() -> None:
    """Different results of equal sets are told once for each pair of them."""
    side = Side()
    side.records.result = b"\1" * 32
    side.renew()
    there = msgspec.structs.replace(side.records.state(), result=b"\2" * 32)
    apart = msgspec.structs.replace(claimed(3), result=b"\2" * 32)
    assert of(side.greet(apart), ResultsDiffer) == []

    side.pass_time(1000)
    told = side.hear(Stand(there), Stand(apart), Stand(there))
    assert of(told, ResultsDiffer) == [ResultsDiffer(b"\1" * 32, b"\2" * 32)]

    other = msgspec.structs.replace(there, result=b"\3" * 32)
    same = msgspec.structs.replace(there, result=b"\1" * 32)
    assert len(of(side.hear(Stand(other), Stand(same)), ResultsDiffer)) == 1


def test_results_of_another_rule_are_not_compared() -> None:
    """Who computes by another rule gets other results rightly."""
    side = Side()
    side.records.result = b"\1" * 32
    state = side.records.state()
    side.do(side.session.changed(state, ItemKind.VOTE, [], 0, is_own=True))
    there = msgspec.structs.replace(state, result=b"\2" * 32)
    side.hear(Hello((1, 1), CIRCLE, bytes(8), 1, "rc2", there))
    side.pass_time(1000)

    assert of(side.hear(Stand(there)), ResultsDiffer) == []


def test_what_stays_apart_is_compared_ever_more_seldom() -> None:
    """Each comparison of no use doubles the time to the next, up to ten minutes."""
    side = Side(records=with_votes(1))
    side.greet()
    began: list[int] = []
    id_bytes: list[int] = []
    for _ in range(13):
        last = side.wait_compared()
        began.append(side.now_ms)
        listed = last.ranges[0]
        assert isinstance(listed, Listed)
        id_bytes.append(listed.id_bytes)
        side.hear(Compare(ItemKind.VOTE, last.number, ()))

    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert id_bytes == [8] + [32] * 12
    assert gaps[0] <= 3000
    assert all(later >= 1.5 * earlier for earlier, later in pairwise(gaps[:8]))
    assert all(590_000 <= gap <= 610_000 for gap in gaps[-3:])


def test_a_new_member_makes_devices_look_again() -> None:
    """After statements changed, what was refused is compared again at once."""
    side = Side(records=with_votes(1))
    side.greet()
    for _ in range(8):
        last = side.wait_compared()
        side.hear(Compare(ItemKind.VOTE, last.number, ()))
    assert said(side.pass_time(60_000), Compare) == []

    payload, _ = payload_of(2, ItemKind.STATEMENT, [10])
    side.hear(Give(ItemKind.STATEMENT, payload))
    statements = side.records.state().sets[0]
    _, card, contribution, vote = SimRecords(9).state().sets
    sets = (statements, card, contribution, vote)
    came = side.hear(Stand(CircleState(sets, None, is_paused=False)))

    assert said(came + side.pass_time(3000), Compare)[0].kind is ItemKind.VOTE


def test_after_a_pause_devices_look_again() -> None:
    """What nobody could give while there was a pause is compared at its end."""
    side = Side(records=with_votes(1))
    side.greet()
    for _ in range(8):
        last = side.wait_compared()
        side.hear(Compare(ItemKind.VOTE, last.number, ()))
    there = SimRecords(9).state()
    side.hear(Stand(msgspec.structs.replace(there, is_paused=True)))
    came = side.hear(Stand(there)) + side.pass_time(3000)

    assert len(said(came, Compare)) == 1


HELLO: Final = Hello((1, 1), CIRCLE, bytes(8), 1, "rc1", SimRecords(9).state())


@pytest.mark.parametrize(
    ("frames", "cause"),
    [
        ([Acknowledge(0, 0)], CircleEnd.OUT_OF_PLACE),
        ([HELLO, HELLO], CircleEnd.OUT_OF_PLACE),
        ([Bye(CircleFarewell.REMOVED)], CircleEnd.REMOVED_HERE),
        ([Bye(CircleFarewell.CLOSING)], CircleEnd.PEER_LEFT),
        (
            [msgspec.structs.replace(HELLO, circle=CircleId(bytes(32)))],
            CircleEnd.FOREIGN_CIRCLE,
        ),
        ([msgspec.structs.replace(HELLO, versions=(2, 3))], CircleEnd.VERSION),
        ([HELLO, Acknowledge(1, 0)], CircleEnd.OVERACKNOWLEDGED),
        ([HELLO, Compare(ItemKind.VOTE, 1, ())], CircleEnd.OUT_OF_PLACE),
        ([HELLO, Compare(ItemKind.VOTE, 0, ())], CircleEnd.OUT_OF_PLACE),
        (
            [HELLO, Compare(ItemKind.VOTE, 1, (Split(b"", b"\0", b""),))],
            CircleEnd.MALFORMED,
        ),
        ([HELLO, *[Stand(HELLO.state)] * (BURST + 1)], CircleEnd.FLOODED),
        (
            [
                HELLO,
                *(
                    Compare(ItemKind.VOTE, 1 + each, (Listed(b"", b"", 8, b""),))
                    for each in range(COMPARISONS_BURST + 1)
                ),
            ],
            CircleEnd.FLOODED,
        ),
    ],
)
def test_who_breaks_the_rules_is_left(
    frames: list[CircleFrame], cause: CircleEnd
) -> None:
    """Each breach ends the session with its cause."""
    side = Side(HIGH)
    side.hear(*frames)

    assert side.cause is cause
    assert side.hear(HELLO) == []


def test_who_never_says_hello_is_left() -> None:
    """A peer that says nothing is waited for a while."""
    side = Side()
    side.pass_time(HELLO_MS - 1000)
    assert side.cause is None
    side.pass_time(2000)

    assert side.cause is CircleEnd.STALLED


def test_who_gives_beyond_its_credit_is_left() -> None:
    """No more waits for the store than was agreed."""
    side = Side(HIGH, keeps=False)
    side.greet()
    payload = bytes(MAX_PAYLOAD_BYTES)
    for _ in range(WINDOW_BYTES // len(payload)):
        side.hear(Give(ItemKind.VOTE, payload))
    assert side.cause is None

    side.hear(Give(ItemKind.VOTE, payload))
    assert side.cause is CircleEnd.FLOODED


def test_what_is_on_its_way_is_bounded() -> None:
    """A peer that does not acknowledge is given no more than its credit."""
    side = Side()
    side.greet()
    for _ in range(40):
        side.make(ItemKind.VOTE, 60_000)
    sent = sum(len(each.payload) for each in said(side.actions, Give))

    assert WINDOW_BYTES - 2 * MAX_PAYLOAD_BYTES <= sent <= WINDOW_BYTES
    assert any(
        isinstance(each.news, Stalled)
        for each in of(side.pass_time(STALL_MS + 2000), Report)
    )
    side.pass_time(GIVE_UP_MS)
    assert side.cause is CircleEnd.STALLED


def test_who_compares_without_end_is_left() -> None:
    """A comparison takes no more turns than sets of that size may need."""
    side = Side(records=with_votes(100))
    side.greet(claimed(1000))
    ranges = (Split(b"", b"\0\0", bytes(16)),)
    turns = 0
    while side.cause is None and turns <= MAX_ROUNDS:
        turns += 1
        side.hear(Compare(ItemKind.VOTE, 1, ranges))

    assert side.cause is CircleEnd.ENDLESS


def test_who_asks_for_everything_again_and_again_is_left() -> None:
    """A peer may be given everything some times, and then in time."""
    side = Side(HIGH)
    side.greet()
    keys = tuple(each.to_bytes(36) for each in range(1000))
    asked = 0
    while side.cause is None and asked < 100 * LEAST_APPETITE:
        side.hear(Ask(ItemKind.VOTE, keys))
        asked += len(keys)

    assert side.cause is CircleEnd.GREEDY
    assert asked <= 5 * LEAST_APPETITE


def test_who_gives_only_what_is_held_is_left() -> None:
    """Payloads without anything new are taken up to a limit."""
    side = Side(HIGH)
    side.greet()
    payload, _ = payload_of(2, ItemKind.VOTE, [60_000])
    taken = 0
    while side.cause is None and taken < 2 * MAX_USELESS_BYTES:
        side.hear(Give(ItemKind.VOTE, payload))
        taken += len(payload)

    assert side.cause is CircleEnd.USELESS


def test_who_never_gives_what_it_names_is_left() -> None:
    """Names that are listed each time and never delivered end the session in time."""
    side = Side()
    side.greet(claimed(3))
    turns = 0
    while side.cause is None and turns < 20:
        turns += 1
        last = side.wait_compared()
        listed = Listed(b"", b"", 8, bytes(8))
        side.hear(Compare(ItemKind.VOTE, last.number, (listed,)))
        side.answered += 1
        side.hear(Compare(ItemKind.VOTE, last.number, ()))
        if turns == 1:
            news = of(side.pass_time(1000), Report)[-1].news
            assert isinstance(news, Progress)
            assert news.sets[ItemKind.VOTE].lacking_here > 0

    assert side.cause is CircleEnd.WITHHELD
    assert turns <= MAX_WITHHELD + 2
