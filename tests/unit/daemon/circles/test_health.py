"""What is told of a circle is what is known of it."""

import pytest

from daemon.circles.health import CircleHealth, Facts, Talk, health
from transport.circle_actions import CircleEnd

EQUAL = Talk(is_greeted=True, is_equal=True, is_paused_there=False, is_stalled=False)
BEHIND = Talk(is_greeted=True, is_equal=False, is_paused_there=False, is_stalled=False)
PAUSED = Talk(is_greeted=True, is_equal=False, is_paused_there=True, is_stalled=False)
STUCK = Talk(is_greeted=True, is_equal=False, is_paused_there=False, is_stalled=True)
SILENT = Talk(is_greeted=False, is_equal=False, is_paused_there=False, is_stalled=False)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts(), CircleHealth.ALONE),
        (Facts(others=2, devices=3), CircleHealth.ALONE),
        (Facts(others=2, devices=2, talks=(EQUAL,)), CircleHealth.SYNCED),
        (Facts(others=2, devices=2, talks=(EQUAL, BEHIND)), CircleHealth.SYNCING),
        (Facts(others=2, devices=2, talks=(SILENT,)), CircleHealth.SYNCING),
        (Facts(others=2, devices=2, talks=(EQUAL, PAUSED)), CircleHealth.SYNCED),
        (Facts(others=2, devices=2, talks=(PAUSED,)), CircleHealth.ALONE),
        (Facts(others=2, devices=2, talks=(EQUAL, STUCK)), CircleHealth.STALLED),
        (Facts(talks=(EQUAL,), lacks_key=True), CircleHealth.SYNCING),
        (Facts(talks=(EQUAL,), is_disk_full=True), CircleHealth.STALLED),
        (Facts(talks=(EQUAL,), do_results_differ=True), CircleHealth.STALLED),
        (Facts(last_end=CircleEnd.FLOODED), CircleHealth.STALLED),
        (Facts(last_end=CircleEnd.PEER_LEFT), CircleHealth.ALONE),
        (Facts(talks=(EQUAL,), is_paused=True), CircleHealth.PAUSED),
        (Facts(talks=(EQUAL,), is_removed=True), CircleHealth.REMOVED),
        (Facts(is_removed=True, has_left=True), CircleHealth.LEFT),
    ],
)
def test_one_state_follows_from_the_facts(facts: Facts, state: CircleHealth) -> None:
    """Whatever is so at once, the most telling is told."""
    assert health(facts).state is state


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(others=1, devices=1),
        Facts(talks=(STUCK,)),
        Facts(talks=(PAUSED,)),
        Facts(talks=(EQUAL,), lacks_key=True),
        Facts(is_paused=True),
        Facts(is_removed=True),
        Facts(has_left=True),
        Facts(do_results_differ=True),
        Facts(last_end=CircleEnd.BROKEN_ITEM),
    ],
)
def test_whatever_is_not_in_step_has_a_cause_and_something_to_do(facts: Facts) -> None:
    """Both in plain words."""
    found = health(facts)

    assert found.cause
    assert found.fix


def test_different_results_are_told_before_all_else_that_may_be() -> None:
    """A result that differs is an error, even while everything else is well."""
    found = health(Facts(others=1, devices=1, talks=(EQUAL,), do_results_differ=True))

    assert found.cause is not None
    assert "another consensus" in found.cause
