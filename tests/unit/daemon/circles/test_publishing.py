"""What goes out to a circle and what comes back from it."""

from dataclasses import replace

import pytest

from crdt.errors import InvalidError, NotFoundError
from crdt.ids import NodeKey
from crdt.records import Node
from daemon.circles.publishing import Publishing, says_the_same
from tests.support.model_circle import (
    ME,
    NOW_MS,
    ModelCircle,
    ModelNotes,
    StandInMeaning,
)

WEEK_MS = 604_800_000
MILL = "the old mill should be a place for all"


@pytest.fixture
def circle() -> ModelCircle:
    """A circle in which nobody has said anything."""
    return ModelCircle()


@pytest.fixture
def publishing(circle: ModelCircle) -> Publishing:
    """Publishes at a fixed moment."""
    return Publishing(StandInMeaning(), ModelNotes(circle.records), lambda: NOW_MS)


def node(key: str, label: str) -> Node:
    """Return a thought."""
    return Node(NodeKey(key), label, "thought", {"secret": "no"}, "default", 0, 0, 1)


async def test_what_is_shown_is_what_goes_out(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """The record of the preview is the record that members get, byte for byte."""
    shown = await publishing.preview(circle, node("mill", MILL))
    assert await publishing.everything(circle) == []

    out, is_news = await publishing.publish(circle, node("mill", MILL))

    assert is_news
    assert out.contribution.encoded == shown.encoded
    assert b"secret" not in shown.encoded
    assert b"mill" not in shown.encoded.replace(MILL.encode(), b"")


async def test_the_same_again_is_no_news(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """A text that is out already stays as it is; a changed one replaces it."""
    first, _ = await publishing.publish(circle, node("mill", MILL))

    again, is_news = await publishing.publish(circle, node("mill", MILL))
    assert (again, is_news) == (first, False)
    assert says_the_same(first, await publishing.preview(circle, node("mill", MILL)))

    changed, is_news = await publishing.publish(circle, node("mill", MILL + " now"))
    assert is_news
    assert [out.contribution for out in await publishing.ledger(circle)] == [
        changed.contribution
    ]


async def test_withdrawing(circle: ModelCircle, publishing: Publishing) -> None:
    """What is taken back is told, is out no longer, and cannot be taken back twice."""
    await publishing.publish(circle, node("mill", MILL))

    gone = await publishing.withdraw(circle, NodeKey("mill"))

    assert gone.contribution.text == MILL
    assert await publishing.ledger(circle) == []
    with pytest.raises(NotFoundError):
        await publishing.withdraw(circle, NodeKey("mill"))


async def test_the_ledger_is_ones_own(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """It tells of which node and since when; what others said is not in it."""
    circle.say("ada", MILL)
    await publishing.publish(circle, node("weir", "the weir turns"))

    (out,) = await publishing.ledger(circle)

    assert (out.node, out.since_ms) == ("weir", NOW_MS)
    assert len(await publishing.everything(circle)) == 2
    circle.records.noted.clear()
    (out,) = await publishing.ledger(circle)
    assert out.node is None
    notes = ModelNotes(circle.records, known_keys=[NodeKey("mill"), NodeKey("weir")])
    (out,) = await replace(publishing, notes=notes).ledger(circle)
    assert (out.node, out.since_ms) == ("weir", NOW_MS - NOW_MS % WEEK_MS)
    known = await publishing.of_node(circle, NodeKey("weir"))
    assert known is not None
    assert known.node == "weir"


async def test_a_long_thought_stays_here(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """A label that no circle can take is refused, and nothing goes out."""
    with pytest.raises(InvalidError):
        await publishing.publish(circle, node("long", "word " * 60))

    assert circle.records.held == {}


async def test_publishing_by_itself(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """A thought goes out by itself only if it is near enough to what others said."""
    thought = node("mill", MILL)
    embedded = await StandInMeaning().embedded(MILL, 1)

    async def resonance() -> int | None:
        return await publishing.resonance(circle, embedded.vector, embedded.model)

    assert await resonance() is None
    assert await publishing.publish_if_resonant(circle, thought, None) is None
    circle.say("ada", "my cat sleeps")
    assert (await resonance() or 0) < 6_500
    assert (
        await publishing.publish_if_resonant(circle, thought, await resonance()) is None
    )
    circle.say("bob", MILL + " here")
    assert (await resonance() or 0) > 6_500
    out = await publishing.publish_if_resonant(circle, thought, await resonance())
    assert out is not None
    assert out.contribution.author == ME


async def test_nobody_resonates_with_themselves(
    circle: ModelCircle, publishing: Publishing
) -> None:
    """What a person said before does not count as resonance with the circle."""
    await publishing.publish(circle, node("mill", MILL))
    embedded = await StandInMeaning().embedded(MILL, 1)

    found = await publishing.resonance(circle, embedded.vector, embedded.model)

    assert found is None
