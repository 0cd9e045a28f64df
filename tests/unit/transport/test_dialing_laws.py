"""The laws of dialling hold whatever happens, in whatever order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.dialling import (
    ME,
    Watched,
    address,
    device,
    fail,
    link,
    unlink,
)
from transport.dial_state import MAX_WAIT_MS
from transport.dialing import (
    DIAL_MS,
    DialPolicy,
)
from transport.reasons import (
    Doubtful,
    Failure,
    FailureCause,
)

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
