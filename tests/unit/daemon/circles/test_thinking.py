"""What becomes of a thought in a circle."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from crdt.commands import Executable
from crdt.execution import Outcome
from crdt.graph_reader import GraphReader
from crdt.ids import NodeKey
from crdt.records import Node
from daemon.circles.bridge import Bridge
from daemon.circles.publishing import Publishing
from daemon.circles.thinking import Consideration, Considered, Wish
from daemon.circles.watching import MOST_EVENTS, consensus_events
from tests.support.model_circle import NOW_MS, ModelCircle, ModelNotes, StandInMeaning

Answer = TypeVar("Answer")
MILL = "the old mill should be a place for all"


class EmptyGraph:
    """A graph that keeps no consensus node."""

    async def write(self, command: Executable) -> Outcome:
        """Nothing is kept, so nothing is written."""
        raise AssertionError(command)

    def read(
        self, question: Callable[[GraphReader], Answer], /
    ) -> Coroutine[Any, Any, Any]:
        """Answer every question by an empty list."""

        async def nothing() -> list[Any]:
            return []

        return nothing()


@pytest.fixture
def circle() -> ModelCircle:
    """A circle of which three others say nearly the same."""
    circle = ModelCircle()
    for name in "abc":
        circle.say(name, f"{MILL} {name}")
    return circle


async def considered(circle: ModelCircle, text: str, wish: Wish) -> Considered:
    """Return what a circle has to a thought."""
    notes = ModelNotes(circle.records)
    node = Node(NodeKey("mine"), text, "thought", {}, "default", 0, 0, 1)
    return await Consideration(
        Publishing(StandInMeaning(), notes, lambda: NOW_MS),
        Bridge(EmptyGraph(), notes, lambda *_: None),
        circle,
        node,
        wish,
    ).consider()


async def test_without_a_wish_nothing_leaves(circle: ModelCircle) -> None:
    """A thought is compared, and told what is near it; nothing is published."""
    found = await considered(circle, MILL, wish=False)

    assert found.resonance > 0.8
    assert [each.standing.contributor_count for each in found.wisdom] == [3]
    assert (found.out, found.unpublished) == (None, None)
    assert len(circle.records.held) == 3


async def test_what_resonates_is_published(circle: ModelCircle) -> None:
    """A thought near enough goes out and counts in what it is told."""
    found = await considered(circle, MILL, wish=True)

    assert found.out is not None
    assert found.out.contribution.text == MILL
    assert [each.standing.contributor_count for each in found.wisdom] == [4]


async def test_what_is_too_far_stays_here(circle: ModelCircle) -> None:
    """A thought that is not near enough is told why, with both figures."""
    found = await considered(circle, "my cat sleeps", wish=True)

    assert found.out is None
    assert "0.65" in (found.unpublished or "")
    assert len(circle.records.held) == 3


async def test_always_is_always(circle: ModelCircle) -> None:
    """Who wants it published in any case gets it published."""
    found = await considered(circle, "my cat sleeps", "always")

    assert found.out is not None
    assert found.unpublished is None


async def test_the_first_to_speak(circle: ModelCircle) -> None:
    """In a circle where nobody has said anything, nothing resonates yet."""
    circle.records.held.clear()

    found = await considered(circle, MILL, wish=True)

    assert (found.resonance, found.out, found.wisdom) == (0.0, None, ())
    assert "nobody else" in (found.unpublished or "")


async def test_a_text_that_no_circle_takes(circle: ModelCircle) -> None:
    """It is considered all the same, and told why it was not published."""
    found = await considered(circle, f"{MILL}\n{MILL}", "always")

    assert found.out is None
    assert "one line" in (found.unpublished or "")
    assert found.wisdom


async def test_events_are_bounded(circle: ModelCircle) -> None:
    """What changed is told node by node; very much at once is told as one."""
    bridge = Bridge(EmptyGraph(), ModelNotes(circle.records), lambda *_: None)
    (standing,) = (await bridge.look(circle)).standings.values()

    told = consensus_events(circle.id, [standing, bytes(32)])
    assert [(each.key, each.state) for each in told] == [
        (standing.key.hex(), "emerging"),
        (bytes(32).hex(), "faded"),
    ]
    assert {each.circle for each in told} == {circle.id.hex()}
    (only,) = consensus_events(circle.id, [standing] * (MOST_EVENTS + 1))
    assert only.key == ""
