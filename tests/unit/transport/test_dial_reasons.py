"""Why there is no link: told as it is, in a sentence with what to do."""

import pytest

from tests.support.dialling import (
    HIGHER,
    LOWER,
    ME,
    Watched,
    address,
    fail,
    link,
    no_dice,
    reason,
    unlink,
    watched,
)
from transport.dial_state import FIRST_WAIT_MS, NEWS_GAP_MS
from transport.dialing import (
    HEAD_START_MS,
    STABLE_MS,
    DialPolicy,
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


def test_before_anything_is_known() -> None:
    """Without an address a device is awaited, then never seen."""
    one = Watched(DialPolicy(ME, no_dice))
    one.do(one.policy.want([LOWER], 0))
    assert reason(one, 1) == Awaited()
    one.pass_time(HEAD_START_MS)

    assert reason(one, 1) == NeverSeen()
    assert reason(one, 9) == NotWanted()


def test_three_addresses_in_vain() -> None:
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
def test_causes_are_kept(failure: Failure, expected: Reason) -> None:
    """What a dial came to is what a person is told."""
    one = watched(9)
    fail(one, 9, failure)

    assert reason(one, 9) == expected


def test_out_of_sight() -> None:
    """A device that was linked and left no address is out of sight."""
    one = watched(9)
    link(one, 9)
    one.pass_time(STABLE_MS)
    one.do(one.policy.know(HIGHER, [], one.now_ms))
    unlink(one, 9)
    one.pass_time(50)

    assert reason(one, 9) == NoAddress(50)


def test_sentences() -> None:
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
