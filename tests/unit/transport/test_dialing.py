"""Dialling: bounded, never stalled, and honest about why there is no link."""

import pytest

from tests.support.dialling import (
    HIGHER,
    LOWER,
    ME,
    Watched,
    address,
    device,
    fail,
    fail_often,
    link,
    no_dice,
    reason,
    unlink,
    until_dialled,
    watched,
)
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
    Doubtful,
    Linked,
)


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
