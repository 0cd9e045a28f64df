"""Twelve persons as real processes in one circle work out one and the same result."""

import pytest

from tests.support.daemons import wait_until
from tests.support.replicas import scratch_folder
from tests.support.townspeople import STATEMENTS, gather, pause, townspeople

PERSONS = 12
CUT_OFF = 4
AT_FIRST, APART = slice(0, 3), slice(3, 4)
"""Which of their statements they say when."""


@pytest.mark.timeout(900)  # so many daemons take long on a busy machine
def test_all_results_are_equal() -> None:
    """Also after a partition, a removal and a late joiner."""
    said = [STATEMENTS[number::PERSONS] for number in range(PERSONS)]
    with scratch_folder() as folder, townspeople(folder, PERSONS) as persons:
        *early, late = persons
        circle = gather(early)
        for daemon, texts in zip(early, said, strict=False):
            circle.say(daemon, texts[AT_FIRST])
        at_first = circle.wait_for_one_result()
        assert circle.consensus(early[-1])["items"]

        pause(early[-CUT_OFF:], is_paused=True)
        for daemon, texts in zip(early, said, strict=False):
            circle.say(daemon, texts[APART])
        wait_until(
            lambda: len({circle.told(d)["fingerprint"] for d in early}) > CUT_OFF
        )
        pause(early[-CUT_OFF:], is_paused=False)
        healed = circle.wait_for_one_result()
        assert healed != at_first

        removed = early[5]
        identity = circle.told(removed)["me"]
        gone = set(said[5][AT_FIRST] + said[5][APART])
        answer = early[0].api.request("DELETE", f"{circle.route}/members/{identity}")
        assert answer.status == 200, answer
        circle.members.remove(removed)
        circle.said -= len(gone)
        without = circle.wait_for_one_result()
        assert without != healed
        wait_until(lambda: circle.told(removed)["state"] == "removed")

        circle.invite(late)
        circle.say(late, said[-1])
        result = circle.wait_for_one_result()
        assert result != without
        assert all(
            not gone & circle.texts(daemon) and set(said[-1]) <= circle.texts(daemon)
            for daemon in circle.members
        )
