"""The way of thoughts between the graph and what resonates."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from consensus.vote import Tally
from crdt.circle_notes_store import SeenNode
from crdt.commands import DeleteNode, Executable, PutNode
from crdt.database import Database
from crdt.errors import InvalidError, NotFoundError
from crdt.execution import Outcome
from crdt.graph_reader import GraphReader
from crdt.ids import NodeKey
from crdt.records import Node
from crdt.replica import Replica
from daemon.circles.bridge import Bridge
from daemon.circles.following import EDGE_TYPE, FADED, Standing, kept_key
from daemon.circles.movement import Moment
from daemon.circles.publishing import Publishing
from daemon.circles.recognising import AGAIN_MS, Recognising
from daemon.owner import Owner
from tests.support.model_circle import NOW_MS, ModelCircle, ModelNotes, StandInMeaning
from tests.support.replicas import (
    SPACE_KEYS,
    START_MS,
    STORE_KEY,
    identity,
    scratch_folder,
)

Answer = TypeVar("Answer")
MILL = "the old mill should be a place for all"


@dataclass
class Desk:
    """A person's graph, a circle, and the bridge between them."""

    owner: Owner
    reader: GraphReader
    circle: ModelCircle = field(default_factory=ModelCircle)
    told: list[Standing | bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the bridge."""
        notes = self.notes = ModelNotes(self.circle.records)
        self.bridge = Bridge(self, notes, lambda _, changed: self.told.extend(changed))
        self.publishing = Publishing(StandInMeaning(), notes, lambda: NOW_MS)

    async def write(self, command: Executable) -> Outcome:
        """Write to the graph."""
        return await self.owner.write(command)

    async def read(self, question: Callable[[GraphReader], Answer], /) -> Answer:
        """Read the graph."""
        return question(self.reader)

    async def publish(self, key: str, label: str) -> None:
        """Put a thought and publish it."""
        await self.owner.write(PutNode(key, label))
        await self.publishing.publish(self.circle, self.reader.node(key))

    def say(self, names: Iterable[str], text: str = MILL) -> None:
        """Let others say nearly the same."""
        for name in names:
            self.circle.say(name, f"{text} {name}")

    async def only_key(self) -> bytes:
        """Return the key of the only consensus node."""
        (key,) = (await self.bridge.look(self.circle)).standings
        return key

    def kept(self, key: bytes) -> Node:
        """Return the node in the graph that keeps a consensus node."""
        return self.reader.node(kept_key(key))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with an empty graph and an empty circle."""
    with (
        scratch_folder() as folder,
        Database(folder, STORE_KEY) as database,
    ):

        def opened() -> Replica:
            return Replica(
                database,
                identity(1),
                SPACE_KEYS,
                randomness=os.urandom,
                monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
            )

        async with Owner(opened, lambda: START_MS, lambda: 0, lambda _: None) as owner:
            with GraphReader(database, owner.replica.index) as reader:
                yield Desk(owner, reader)


async def test_a_look_tells_what_changed_once(desk: Desk) -> None:
    """Watchers hear of a new node, of each change of it, and when it is gone."""
    desk.say("abc")
    key = await desk.only_key()
    assert [each.key for each in desk.told if isinstance(each, Standing)] == [key]

    await desk.bridge.look(desk.circle)
    assert len(desk.told) == 1

    desk.circle.records.tallies[key] = Tally(2, 1)
    await desk.bridge.look(desk.circle)
    latest = desk.told[-1]
    assert isinstance(latest, Standing)
    assert (latest.affirm, latest.dissent) == (2, 1)

    desk.circle.records.held.clear()
    await desk.bridge.look(desk.circle)
    assert desk.told[-1] == key


async def test_a_consensus_node_is_kept(desk: Desk) -> None:
    """It comes into the graph, linked with the person's own part in it."""
    desk.say("ab")
    await desk.publish("mine", MILL)
    key = await desk.only_key()

    made, linked = await desk.bridge.integrate(desk.circle, key.hex(), None)

    assert (made, linked) == (kept_key(key), ["mine"])
    assert desk.kept(key).type == "consensus"
    ((_, edge),) = desk.reader.edges(limit=9, target=made)
    assert (edge.source, edge.type) == ("mine", EDGE_TYPE)
    assert desk.bridge.placement.of(NodeKey("mine")) == [key.hex()]
    assert desk.bridge.placement.of(made) == [key.hex()]
    assert desk.bridge.placement.linked(desk.circle.id, key) == ["mine"]


async def test_it_can_be_linked_with_any_thought(desk: Desk) -> None:
    """A named thought is linked; one that is absent is told, and nothing is kept."""
    desk.say("abc")
    key = await desk.only_key()
    with pytest.raises(NotFoundError):
        await desk.bridge.integrate(desk.circle, key.hex(), NodeKey("nobody"))
    with pytest.raises(NotFoundError):
        desk.kept(key)
    await desk.owner.write(PutNode("other", "Something else"))

    _, linked = await desk.bridge.integrate(desk.circle, key.hex(), NodeKey("other"))

    assert linked == ["other"]
    assert desk.bridge.placement.of(NodeKey("other")) == [key.hex()]


async def test_what_is_kept_follows(desk: Desk) -> None:
    """Counts change as more people say so; it fades when all of it is withdrawn."""
    desk.say("abc")
    key = await desk.only_key()
    await desk.bridge.integrate(desk.circle, key.hex(), None)
    assert desk.kept(key).metadata["contributor_count"] == 3

    desk.say("d")
    await desk.bridge.look(desk.circle)
    assert desk.kept(key).metadata["contributor_count"] == 4
    assert desk.kept(key).metadata["status"] == "consensus"

    desk.circle.records.held.clear()
    await desk.bridge.look(desk.circle)
    assert desk.kept(key).metadata["status"] == FADED


async def test_a_deleted_thought_is_not_linked(desk: Desk) -> None:
    """What is in the trash is left there."""
    desk.say("ab")
    await desk.publish("mine", MILL)
    key = await desk.only_key()
    await desk.owner.write(DeleteNode("mine"))

    _, linked = await desk.bridge.integrate(desk.circle, key.hex(), None)

    assert linked == []


async def test_finding_by_key(desk: Desk) -> None:
    """A whole key, the beginning of one, and a key that another one goes on as."""
    desk.say("abc")
    key = await desk.only_key()
    former = bytes([7]) * 32
    desk.notes.known_aliases[former] = key

    for text in (key.hex(), key.hex()[:8], key.hex().upper(), former.hex()):
        _, found = await desk.bridge.find(desk.circle, text)
        assert found.key == key
    for text in (key.hex()[:7], "zz", bytes(32).hex(), ""):
        with pytest.raises(NotFoundError):
            await desk.bridge.find(desk.circle, text)


async def test_a_beginning_of_several_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that could be several is not guessed."""
    monkeypatch.setattr("daemon.circles.bridge._LEAST_PREFIX", 0)
    desk.say("abc")
    desk.say("abc", "my cat sleeps all day long")

    with pytest.raises(InvalidError):
        await desk.bridge.find(desk.circle, "")


async def test_wisdom_is_what_is_near(desk: Desk) -> None:
    """The consensus nodes near a thought come with how they stand."""
    desk.say("abc")
    key = await desk.only_key()
    embedded = await StandInMeaning().embedded(MILL, 1)

    (wisdom,) = await desk.bridge.wisdom(desk.circle, embedded, 5)

    assert wisdom.standing.key == key
    assert wisdom.resonance > 8_000
    assert wisdom.standing.contributor_count == 3


async def test_details(desk: Desk) -> None:
    """Keywords, weeks and whether the person is part of it."""
    desk.say("ab")
    await desk.publish("mine", MILL)
    look = await desk.bridge.look(desk.circle)

    (detail,) = (await desk.bridge.details.of(desk.circle, look.result)).values()

    assert "mill" in detail.keywords
    assert detail.is_mine
    assert (detail.first_epoch, detail.last_epoch) == (2_900, 2_901)


async def test_movements(desk: Desk) -> None:
    """Of what resonates now, that is told which moved since the window began."""
    desk.say("abc")
    assert await desk.bridge.movements(desk.circle, 1_000, NOW_MS) == []

    desk.notes.known_history = [
        Moment(NOW_MS - 5_000, 7_000, 3, 3, 3),
        Moment(NOW_MS - 10, 7_000, 5, 5, 5),
    ]
    ((standing, moved),) = await desk.bridge.movements(desk.circle, 1_000, NOW_MS)

    assert standing.key == await desk.only_key()
    assert moved.kind == "rising"
    assert (
        await desk.bridge.history(desk.circle, standing.key, 0)
        == desk.notes.known_history
    )


async def test_what_was_seen_is_recalled(desk: Desk) -> None:
    """After a start nodes say where they stood, and only what is new is told."""
    desk.say("ab")
    await desk.publish("mine", MILL)
    look = await desk.bridge.look(desk.circle)
    (node,) = look.result.nodes
    desk.notes.known_seen = [SeenNode(node.key, node.members, node.label, NOW_MS)]
    again = Bridge(desk, desk.notes, lambda _, changed: desk.told.extend(changed))
    desk.told.clear()
    looks = desk.circle.collective.looks

    await again.recall(desk.circle)

    assert again.placement.of(NodeKey("mine")) == [node.key.hex()]
    assert desk.circle.collective.looks == looks
    await again.look(desk.circle)
    assert desk.told == []
    desk.circle.records.held.clear()
    await again.look(desk.circle)
    assert desk.told == [node.key]


async def test_nodes_of_references_are_found(desk: Desk) -> None:
    """Keys of the graph are tried once; what none fits is tried again much later."""
    await desk.owner.write_all(
        [PutNode(f"n{number:05}", "x") for number in range(2_100)]
    )
    now_ms = NOW_MS
    recognising = Recognising(desk, lambda: now_ms)
    reference_of = desk.circle.records.reference
    last, absent = NodeKey("n02099"), NodeKey("nobody")
    wanted = [reference_of(last), reference_of(absent)]

    assert await recognising.find(reference_of, wanted) == {wanted[0]: last}
    assert await recognising.find(reference_of, wanted) == {}
    await desk.owner.write(PutNode(absent, "here by now"))
    now_ms += AGAIN_MS
    assert await recognising.find(reference_of, wanted[1:]) == {wanted[1]: absent}
