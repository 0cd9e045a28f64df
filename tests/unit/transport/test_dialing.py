"""Dialling: bounded, never stalled, and honest about why there is no link."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dialling import Watched, address, device
from transport.dial_state import FIRST_WAIT_MS, MAX_WAIT_MS, NEWS_GAP_MS
from transport.dialing import (
    DIAL_MS,
    HEAD_START_MS,
    HOLD_MS,
    MAX_ADDRESSES,
    MAX_DIALS,
    STABLE_MS,
    STAGGER_MS,
    Abandon,
    DialPolicy,
    HangUp,
    Step,
)
from transport.reasons import (
    Awaited,
    ClockSkew,
    Dialling,
    Doubtful,
    Failed,
    Failure,
    FailureCause,
    Linked,
    NeverSeen,
    NoAddress,
    NoRoute,
    NotWanted,
    Paused,
    Reason,
    Refused,
    explained,
)

ME, LOWER, HIGHER = device(5), device(1), device(9)
UNREACHABLE = Failure(FailureCause.UNREACHABLE)


def no_dice() -> float:
    return 0.0


def watched(*peers: int) -> Watched:
    """Return a policy that wants devices and has begun to dial, each at one address."""
    one = Watched(DialPolicy(ME, no_dice))
    one.do(one.policy.want([device(each) for each in peers], 0))
    one.pass_time(HEAD_START_MS)
    for each in peers:
        one.do(one.policy.know(device(each), [address(each)], one.now_ms))
    one.pass_time(HEAD_START_MS)
    return one


def fail(one: Watched, number: int, failure: Failure = UNREACHABLE) -> None:
    """Let the dial to a device come to nothing."""
    dial = one.running.pop(device(number))
    one.do(one.policy.dial_failed(dial.peer, dial.attempt, failure, one.now_ms))


def until_dialled(one: Watched, number: int) -> int:
    """Let time pass until the device is dialled; return how long that took."""
    before_ms = one.now_ms
    while device(number) not in one.running:
        assert one.now_ms - before_ms <= MAX_WAIT_MS
        one.pass_time(50)
    return one.now_ms - before_ms


def fail_often(one: Watched, number: int) -> None:
    """Let so many dials fail that the waits are long; the last dial still runs."""
    for _ in range(10):
        fail(one, number)
        until_dialled(one, number)


def link(one: Watched, number: int) -> None:
    """Let a link to a device come up."""
    one.sound.add(device(number))
    one.do(one.policy.link_up(device(number), one.now_ms))


def unlink(one: Watched, number: int) -> None:
    """Let the link to a device end."""
    one.sound.discard(device(number))
    one.do(one.policy.link_down(device(number), one.now_ms))


def reason(one: Watched, number: int) -> Reason:
    return one.policy.explain(device(number), one.now_ms)


class TestOrder:
    """What a dial looks like."""

    def test_addresses_are_tried_one_after_the_other(self) -> None:
        """Each address follows the one before it by the stagger, in the order given."""
        one = watched(9)
        known = [address(number) for number in range(1, MAX_ADDRESSES + 3)]
        fail(one, 9)
        one.do(one.policy.know(HIGHER, known, one.now_ms))
        one.pass_time(NEWS_GAP_MS)

        assert one.running[HIGHER].steps == tuple(
            Step(each, place * STAGGER_MS)
            for place, each in enumerate(known[:MAX_ADDRESSES])
        )

    def test_a_common_peer_is_the_last_resort(self) -> None:
        """With a link to anybody, the mesh is asked after all addresses."""
        one = watched(8, 9)
        fail(one, 9)
        link(one, 8)
        one.pass_time(NEWS_GAP_MS)

        assert one.running[HIGHER].steps == (
            Step(address(9), 0),
            Step(None, STAGGER_MS),
        )

    def test_the_lower_id_has_a_head_start(self) -> None:
        """Of two devices that meet, the one whose offer would win dials first."""
        one = Watched(DialPolicy(ME, no_dice))
        one.do(one.policy.want([LOWER, HIGHER], 0))
        one.do(one.policy.know(LOWER, [address(1)], 0))
        one.do(one.policy.know(HIGHER, [address(9)], 0))
        one.pass_time(NEWS_GAP_MS + HEAD_START_MS)

        assert one.started_ms[HIGHER] < one.started_ms[LOWER]

    def test_no_more_than_the_bound_run_and_nobody_starves(self) -> None:
        """What waits for a free place gets it, the longest waiting first."""
        numbers = range(10, 10 + 3 * MAX_DIALS)
        one = watched(*numbers)
        assert len(one.running) == MAX_DIALS

        one.pass_time(4 * (DIAL_MS + MAX_WAIT_MS))

        assert set(one.started_ms) == {device(each) for each in numbers}


class TestWaiting:
    """When the next dial comes."""

    def test_waits_double_to_a_bound(self) -> None:
        """Dials in vain come ever more rarely, and never more than 30 s apart."""
        one = watched(9)
        waits = []
        for _ in range(12):
            fail(one, 9)
            waits.append(until_dialled(one, 9))

        assert waits[0] == FIRST_WAIT_MS
        assert waits == sorted(waits)
        assert waits[-1] == MAX_WAIT_MS

    @pytest.mark.parametrize("reset", ["network", "sync", "resume"])
    def test_news_of_the_own_network_end_waits(self, reset: str) -> None:
        """A wake-up, another address or a person's wish: all are dialled at once."""
        one = watched(9)
        fail_often(one, 9)
        fail(one, 9)
        one.pass_time(1000)
        match reset:
            case "network":
                one.do(one.policy.network_changed(one.now_ms))
            case "sync":
                one.do(one.policy.sync_now(one.now_ms))
            case _:
                one.pause(is_paused=True)
                one.pause(is_paused=False)
        assert HIGHER in one.running
        fail(one, 9)

        one.pass_time(FIRST_WAIT_MS)

        assert HIGHER in one.running

    def test_a_new_address_is_tried_soon(self) -> None:
        """What is learnt while waiting, or while a dial runs, shortens the wait."""
        one = watched(9)
        fail_often(one, 9)
        one.do(one.policy.know(HIGHER, [address(9), address(8)], one.now_ms))
        fail(one, 9)

        one.pass_time(NEWS_GAP_MS)

        assert HIGHER in one.running

    def test_lies_about_addresses_cost_little(self) -> None:
        """A stream of new addresses makes a dial each two seconds at most."""
        one = watched(9)
        fail(one, 9)
        dials = one.dials
        for number in range(200):
            one.do(one.policy.know(HIGHER, [address(9, 1 + number)], one.now_ms))
            if HIGHER in one.running:
                fail(one, 9)
            one.pass_time(100)

        assert one.dials - dials <= 20_000 // NEWS_GAP_MS + 3

    def test_a_link_that_ends_at_once_is_a_failure(self) -> None:
        """Links that do not last are not made in a tight loop."""
        one = watched(9)
        dials = one.dials
        for _ in range(600):
            if HIGHER in one.running:
                link(one, 9)
                unlink(one, 9)
            one.pass_time(100)

        assert one.dials - dials < 10

    def test_a_dial_without_an_answer_is_over_in_time(self) -> None:
        """An edge that never reports stalls nothing."""
        one = watched(9)
        first = one.running[HIGHER]

        one.pass_time(DIAL_MS + MAX_WAIT_MS)

        assert one.running[HIGHER].attempt > first.attempt

    def test_a_clock_set_back_stalls_nothing(self) -> None:
        """If time jumps back by a year, the next try still comes within bounds."""
        one = watched(9)
        fail(one, 9)
        one.now_ms -= 365 * 24 * 3600 * 1000
        one.started_ms.clear()
        one.expire()

        one.pass_time(MAX_WAIT_MS)

        assert HIGHER in one.running


class TestLinks:
    """What links change."""

    def test_a_link_ends_the_dial(self) -> None:
        """With a link nothing is dialled any more, whoever dialled."""
        one = watched(9)
        link(one, 9)
        dials = one.dials

        one.pass_time(100 * MAX_WAIT_MS)

        assert not one.running
        assert one.dials == dials
        assert one.policy.wake_ms(one.now_ms) is None

    def test_a_lost_link_is_made_again_at_once(self) -> None:
        """After a link that lasted, the next dial does not wait."""
        one = watched(9)
        link(one, 9)
        one.pass_time(STABLE_MS)
        unlink(one, 9)

        assert HIGHER in one.running

    def test_doubt_makes_a_second_link_before_the_first_breaks(self) -> None:
        """A silent device is dialled while its link stands; a sign of life ends it."""
        one = watched(9)
        link(one, 9)
        one.pass_time(STABLE_MS)
        one.sound.discard(HIGHER)
        one.do(one.policy.link_doubtful(HIGHER, one.now_ms))
        assert HIGHER in one.running
        assert HIGHER not in one.hung_up
        assert isinstance(reason(one, 9), Doubtful)

        one.sound.add(HIGHER)
        one.do(one.policy.link_recovered(HIGHER, one.now_ms))

        assert not one.running
        assert isinstance(reason(one, 9), Linked)

    def test_a_changed_network_puts_links_in_doubt(self) -> None:
        """After a wake-up each link is prepared anew beside the old one."""
        one = watched(8, 9)
        link(one, 8)
        link(one, 9)
        one.pass_time(STABLE_MS)
        one.sound.clear()

        one.do(one.policy.network_changed(one.now_ms))

        assert set(one.running) == {device(8), device(9)}
        assert not one.hung_up

    def test_who_is_removed_is_hung_up_on(self) -> None:
        """A device that is no longer wanted loses its dial and its link, for good."""
        one = watched(8, 9)
        link(one, 8)
        one.sound.clear()
        one.do(one.policy.want([], one.now_ms))

        assert set(one.hung_up) == {device(8), device(9)}
        assert not one.running
        assert one.policy.link_up(HIGHER, one.now_ms) == [HangUp(HIGHER)]
        assert one.policy.wake_ms(one.now_ms) is None

    def test_paused_means_alone(self) -> None:
        """While paused nothing is dialled, and links that come up are ended."""
        one = watched(8, 9)
        link(one, 8)
        one.pause(is_paused=True)
        one.do(one.policy.sync_now(one.now_ms))
        one.do(one.policy.link_up(HIGHER, one.now_ms))
        one.pass_time(10 * MAX_WAIT_MS)

        assert not one.running
        assert one.hung_up == [device(8), HIGHER]


class TestGlare:
    """Both dial at the same time."""

    def test_the_lower_id_keeps_its_offer(self) -> None:
        """Answering a higher device changes nothing in the own dial."""
        one = watched(9)

        assert one.policy.answering(HIGHER, one.now_ms) == []

    def test_the_higher_id_gives_way_for_a_while(self) -> None:
        """Answering a lower device ends the own dial; if nothing comes, it is back."""
        one = watched(1)
        one.pass_time(HEAD_START_MS)
        attempt = one.running[LOWER].attempt

        actions = one.do(one.policy.answering(LOWER, one.now_ms))

        assert actions == [Abandon(LOWER, attempt)]
        one.pass_time(HOLD_MS - 1)
        assert LOWER not in one.running
        one.pass_time(1)
        assert LOWER in one.running

    def test_nobody_is_held_for_ever(self) -> None:
        """A device that keeps offering and never links is dialled all the same."""
        one = watched(1)
        one.pass_time(HEAD_START_MS)
        dials = one.dials
        for _ in range(600):
            one.do(one.policy.answering(LOWER, one.now_ms))
            one.pass_time(100)

        assert one.dials > dials


class TestReasons:
    """Why there is no link."""

    def test_before_anything_is_known(self) -> None:
        """Without an address a device is awaited, then never seen."""
        one = Watched(DialPolicy(ME, no_dice))
        one.do(one.policy.want([LOWER], 0))
        assert reason(one, 1) == Awaited()
        one.pass_time(HEAD_START_MS)

        assert reason(one, 1) == NeverSeen()
        assert reason(one, 9) == NotWanted()

    def test_three_addresses_in_vain(self) -> None:
        """The number of addresses that were tried is told, and the next try."""
        one = watched(9)
        one.do(one.policy.know(HIGHER, [address(n) for n in (7, 8, 9)], one.now_ms))
        assert isinstance(reason(one, 9), Dialling | NeverSeen)
        fail(one, 9)
        one.pass_time(NEWS_GAP_MS)
        fail(one, 9)
        one.pass_time(100)

        assert reason(one, 9) == NoRoute(3, 100, 2 * FIRST_WAIT_MS - 100)
        assert (
            explained(reason(one, 9)).text
            == "no route: 3 addresses tried, trying again now"
        )

    @pytest.mark.parametrize(
        ("failure", "expected"),
        [
            (Failure(FailureCause.CLOCK, 420_000), ClockSkew(420_000)),
            (Failure(FailureCause.CLOCK), ClockSkew(None)),
            (Failure(FailureCause.REFUSED), Refused(0)),
            (
                Failure(FailureCause.BLOCKED),
                Failed(FailureCause.BLOCKED, 0, FIRST_WAIT_MS),
            ),
        ],
    )
    def test_causes_are_kept(self, failure: Failure, expected: Reason) -> None:
        """What a dial came to is what a person is told."""
        one = watched(9)
        fail(one, 9, failure)

        assert reason(one, 9) == expected

    def test_out_of_sight(self) -> None:
        """A device that was linked and left no address is out of sight."""
        one = watched(9)
        link(one, 9)
        one.pass_time(STABLE_MS)
        one.do(one.policy.know(HIGHER, [], one.now_ms))
        unlink(one, 9)
        one.pass_time(50)

        assert reason(one, 9) == NoAddress(50)

    def test_sentences(self) -> None:
        """Every reason has a sentence; every one that a person can mend has a fix."""
        minute = 60_000
        texts = {
            explained(each).text
            for each in (
                ClockSkew(7 * minute),
                ClockSkew(-3 * 60 * minute),
                NoRoute(1, 0, 5000),
                NoAddress(72 * 60 * minute),
                Linked(minute),
                Doubtful(0),
                Dialling(2, 0),
                Paused(),
                Refused(0),
                NeverSeen(),
                NotWanted(),
                Awaited(),
            )
        }
        texts |= {explained(Failed(cause, 0, 5000)).text for cause in FailureCause}

        assert "its clock is 7 min ahead of this one" in texts
        assert "its clock is 3 h behind this one" in texts
        assert "no route: 1 address tried, again in 5 s" in texts
        assert "out of sight for 3 days: no address is known" in texts
        assert len(texts) == 12 + len(FailureCause)
        assert not any(text.endswith(".") for text in texts)


peers = st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9])
moves = st.lists(
    st.one_of(
        st.tuples(st.just("know"), peers, st.integers(0, 5)),
        st.tuples(st.just("fail"), peers, st.sampled_from(list(FailureCause))),
        st.tuples(st.sampled_from(["up", "down", "doubt", "heard", "answer"]), peers),
        st.tuples(st.sampled_from(["network", "sync", "pause", "resume", "back"])),
        st.tuples(st.just("pass"), st.integers(0, 40_000)),
    ),
    max_size=60,
)


@given(moves, st.randoms(use_true_random=False))
def test_laws_hold_whatever_happens(
    history: list[tuple[object, ...]], random: Random
) -> None:
    """Bounds hold after every event, and in the end every device is dialled again."""
    one = Watched(DialPolicy(ME, random.random))
    everybody = [device(each) for each in (1, 2, 3, 4, 6, 7, 8, 9)]
    one.do(one.policy.want(everybody, 0))
    for kind, *details in history:
        move(one, str(kind), details)
    if one.is_paused:
        move(one, "resume", [])
    for each in everybody:
        one.do(one.policy.know(each, [address(each[0])], one.now_ms))
    one.started_ms.clear()

    one.pass_time(4 * (MAX_WAIT_MS + DIAL_MS))

    assert one.started_ms.keys() | set(one.running) >= set(everybody) - one.sound


def move(one: Watched, kind: str, details: list[object]) -> None:
    """Carry out one drawn event."""
    number = details[0] if details and isinstance(details[0], int) else 0
    peer, now_ms, policy = device(number % 256), one.now_ms, one.policy
    match kind, details:
        case "know", [_, int(count)]:
            one.do(policy.know(peer, [address(n + 1) for n in range(count)], now_ms))
        case "fail", [_, FailureCause() as cause]:
            if peer in one.running:
                fail(one, number, Failure(cause))
        case "up", _:
            if not one.is_paused:
                link(one, number)
        case "down", _:
            unlink(one, number)
        case "doubt", _:
            if peer in one.sound:
                one.sound.discard(peer)
                one.do(policy.link_doubtful(peer, now_ms))
        case "heard", _:
            if isinstance(policy.explain(peer, now_ms), Doubtful):
                one.sound.add(peer)
                one.do(policy.link_recovered(peer, now_ms))
        case "answer", _:
            one.do(policy.answering(peer, now_ms))
        case "network", _:
            one.sound.clear()
            one.do(policy.network_changed(now_ms))
        case "sync", _:
            one.do(policy.sync_now(now_ms))
        case "pause" | "resume", _:
            one.pause(is_paused=kind == "pause")
        case "back", _:
            one.now_ms -= 3_600_000
            one.started_ms.clear()
            one.expire()
        case "pass", [int(milliseconds)]:
            one.pass_time(milliseconds)
        case _:
            raise AssertionError(kind)
