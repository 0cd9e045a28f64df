"""A session of a circle: order, gifts, hearsay, pause and results."""

from itertools import pairwise

import msgspec

from crdt.circle_items import ItemKind, ItemName
from tests.support.circle_sides import (
    CIRCLE,
    HIGH,
    Side,
    claimed,
    of,
    payload_of,
    said,
    with_votes,
)
from tests.support.circle_sim_records import SimRecords
from transport.circle_actions import (
    ResultsDiffer,
)
from transport.circle_frames import (
    Acknowledge,
    Ask,
    CircleState,
    Compare,
    Give,
    Hello,
    Listed,
    Stand,
    Tell,
)
from transport.circle_hearsay import TELL_MS
from transport.sorted_names import key_of


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
    soon = side.session.changed(state, ItemKind.VOTE, others, 0, is_own=False)
    told = side.pass_time(TELL_MS)

    assert names[0] in side.records.items[ItemKind.VOTE]
    assert said(got, Acknowledge) == [Acknowledge(len(payload), 0)]
    assert said(got, Tell) == said(soon, Tell) == []
    assert said(told, Tell) == [Tell(ItemKind.VOTE, (key_of(others[1]),))]


def test_who_holds_the_same_by_then_is_told_nothing() -> None:
    """Mostly the peer was given the same by who made it, and says how it stands."""
    side = Side(HIGH)
    side.greet()
    _, names = payload_of(2, ItemKind.VOTE, [10])
    state = claimed(1)
    side.session.changed(state, ItemKind.VOTE, names, 0, is_own=False)
    side.hear(Stand(state))

    assert said(side.pass_time(10 * TELL_MS), Tell) == []


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
    """However often a side changes, it tells twice a second at most."""
    side = Side()
    side.greet()
    side.pass_time(5000)
    for _ in range(10):
        side.make(ItemKind.VOTE)
    assert len(said(side.actions, Stand)) == 1

    told = said(side.pass_time(600), Stand)
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
