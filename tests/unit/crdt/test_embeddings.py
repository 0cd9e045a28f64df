"""Vectors in the store, the queue of texts, and questions about meaning."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt import embeddings
from crdt.commands import (
    AnyCommand,
    DeleteNode,
    PatchNode,
    PutBody,
    PutNode,
    RestoreNode,
)
from crdt.database import Connection, Database
from crdt.embeddings import Made, Waiting
from crdt.errors import NotFoundError
from crdt.events import Event
from crdt.meaning_reader import MeaningReader
from crdt.rebuild import rebuild
from crdt.replica import Replica
from tests.support.replicas import (
    SPACE_KEYS,
    START_MS,
    STORE_KEY,
    Device,
    scratch_folder,
)
from tests.support.stand_in_model import vector

TAG, OTHER_TAG = b"old-tag.", b"new-tag."


@dataclass
class Shelf:
    """A device whose vectors come from the stand-in."""

    device: Device
    replica: Replica
    reader: MeaningReader

    def do(self, *commands: AnyCommand) -> None:
        self.replica.apply(commands, START_MS)

    def model(self, tag: bytes = TAG) -> int:
        """Make vectors by the model with a tag from now on."""
        found: list[int] = []

        def write(connection: Connection) -> Sequence[Event]:
            found.append(embeddings.add_model(connection, tag, "folder").number)
            return ()

        self.replica.derive(write)
        return found[0]

    def queue(self, model: int = 1) -> list[Waiting]:
        return self.reader.waiting(model, 100)

    def embed(self, queued: Sequence[Waiting], model: int = 1) -> None:
        made = [
            Made(
                each.node,
                each.text_hash,
                None if each.is_known else vector(each.text or ""),
            )
            for each in queued
        ]

        def write(connection: Connection) -> Sequence[Event]:
            gone, kept = embeddings.keep(connection, model, made)
            self.reader.note(model, gone, kept)
            return ()

        self.replica.derive(write)

    def settle(self, model: int) -> None:
        """Let a model answer."""

        def write(connection: Connection) -> Sequence[Event]:
            embeddings.settle(connection, model)
            return ()

        self.replica.derive(write)
        self.reader.forget_model()

    def near(self, text: str, limit: int = 3) -> list[str]:
        answering = self.reader.answering_model()
        found = self.reader.nearest(
            vector(text),
            model=0 if answering is None else answering.number,
            limit=limit,
            threshold=0.2,
        )
        return [node.key for node, _ in found]


@contextmanager
def shelf() -> Iterator[Shelf]:
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with (
            device.running() as replica,
            MeaningReader(device.database, replica.index) as reader,
        ):
            yield Shelf(device, replica, reader)


LABELS = {
    "bread": "bake bread at home",
    "butter": "bread and butter",
    "bus": "the bus is late",
}


def filled(held: Shelf) -> None:
    held.do(*(PutNode(key, label) for key, label in LABELS.items()))
    held.model()
    held.embed(held.queue())


def test_what_is_written_waits_and_is_found_when_embedded() -> None:
    """Each new text is queued once, leaves the queue embedded, and is found."""
    with shelf() as held:
        held.do(*(PutNode(key, label) for key, label in LABELS.items()))
        assert held.reader.queue_length() == 3
        assert held.near("bread") == []

        held.model()
        held.embed(held.queue())

        assert held.reader.queue_length() == 0
        assert set(held.near("bread")) == {"bread", "butter"}
        assert held.near("late bus") == ["bus"]


def test_only_changed_texts_are_embedded_again() -> None:
    """A change that leaves the text, or brings it back, costs no embedding."""
    with shelf() as held:
        filled(held)
        held.do(PatchNode("bus", type="idea"))
        assert held.queue() == []

        held.do(PatchNode("bus", label="other"), PatchNode("bus", label=LABELS["bus"]))

        assert [each.is_known for each in held.queue()] == [True]
        held.embed(held.queue())
        assert held.near("late bus") == ["bus"]


def test_a_body_is_embedded_with_its_label() -> None:
    """What a body begins with counts, too."""
    with shelf() as held:
        filled(held)

        held.do(PutBody("bus", "zebra crossing"))
        held.embed(held.queue())

        assert held.near("zebra") == ["bus"]


def test_a_text_that_changed_meanwhile_stays_queued() -> None:
    """A vector of what a node no longer says is not kept."""
    with shelf() as held:
        filled(held)
        held.do(PatchNode("bus", label="the train is late"))
        queued = held.queue()

        held.do(PatchNode("bus", label="the boat is early"))
        held.embed(queued)

        assert held.reader.queue_length() == 1
        held.embed(held.queue())
        assert held.near("boat") == ["bus"]


def test_the_trash_is_not_found() -> None:
    """A deleted node is found no more at once, and again when it is restored."""
    with shelf() as held:
        filled(held)

        held.do(DeleteNode("bus"))
        assert held.near("late bus") == []
        held.embed(held.queue())
        with pytest.raises(NotFoundError):
            held.reader.resonant("bus", limit=3, threshold=0.1)

        held.do(RestoreNode("bus"))
        held.embed(held.queue())
        assert held.near("late bus") == ["bus"]


def test_a_text_without_a_vector_leaves_the_queue() -> None:
    """What no model can take is remembered, and asked for no more."""
    with shelf() as held:
        filled(held)
        held.do(PutNode("odd", "odd"))
        (queued,) = held.queue()
        gone = Made(queued.node, queued.text_hash, embeddings.NO_VECTOR)
        held.replica.derive(lambda c: embeddings.keep(c, 1, [gone]) and ())

        assert held.queue() == []
        assert held.reader.resonant("odd", limit=3, threshold=0.1) == []


def test_resonant_leaves_the_node_itself_out() -> None:
    """Who is near a node, above a threshold, best first."""
    with shelf() as held:
        filled(held)
        found = held.reader.resonant("bread", limit=5, threshold=0.2)

        assert found is not None
        assert [node.key for node, _ in found] == ["butter"]
        assert 0.2 < found[0][1] < 1


def test_the_old_tag_answers_until_the_new_one_is_whole() -> None:
    """A model change queues all, and questions see old vectors until it is through."""
    with shelf() as held:
        filled(held)
        new = held.model(OTHER_TAG)
        queued = held.queue(new)
        assert len(queued) == 3
        assert not any(each.is_known for each in queued)

        held.embed(queued[:2], new)
        assert held.near("late bus") == ["bus"]
        held.embed(queued[2:], new)
        held.replica.derive(lambda c: (embeddings.settle(c, new), ())[1])
        held.reader.forget_model()

        answering = held.reader.answering_model()
        assert answering is not None
        assert answering.tag == OTHER_TAG
        assert held.near("late bus") == ["bus"]
        rows = held.device.database.writer.execute("SELECT count(*) FROM vector")
        assert rows.fetchall() == [(3,)]


def test_a_model_that_comes_back_misses_nothing() -> None:
    """Back to the first model half way, what was written meanwhile is queued for it."""
    with shelf() as held:
        filled(held)
        new = held.model(OTHER_TAG)
        held.do(PutNode("tea", "green tea"))
        held.embed(held.queue(new), new)

        assert held.model(TAG) == 1

        assert [each.is_known for each in held.queue()] == [False, True, True, True]
        held.embed(held.queue())
        assert held.near("green tea") == ["tea"]


def test_the_queue_and_the_vectors_survive() -> None:
    """After a kill the same texts wait, and what was embedded is found."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with (
            device.running(clean=False) as replica,
            MeaningReader(device.database, replica.index) as reader,
        ):
            held = Shelf(device, replica, reader)
            filled(held)
            held.do(PutNode("tea", "green tea"))
        with (
            device.running() as replica,
            MeaningReader(device.database, replica.index) as reader,
        ):
            held = Shelf(device, replica, reader)
            assert [each.text for each in held.queue()] == ["green tea"]
            assert held.near("late bus") == ["bus"]


def test_a_rebuilt_store_embeds_only_what_it_must() -> None:
    """Rebuilding queues everything, and nothing of it needs the model."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with (
            device.running() as replica,
            MeaningReader(device.database, replica.index) as reader,
        ):
            filled(Shelf(device, replica, reader))
        with Database(device.home, STORE_KEY) as database:
            rebuild(database, device.identity, SPACE_KEYS)
        with (
            device.running() as replica,
            MeaningReader(device.database, replica.index) as reader,
        ):
            queued = Shelf(device, replica, reader).queue()
            assert [each.is_known for each in queued] == [True, True, True]


def answers(reader: MeaningReader, text: str) -> list[tuple[str, float]]:
    answering = reader.answering_model()
    number = 0 if answering is None else answering.number
    found = reader.nearest(vector(text), model=number, limit=3, threshold=0.2)
    return [(node.key, near) for node, near in found]


def resonance(reader: MeaningReader, key: str) -> list[tuple[str, float]] | None:
    try:
        found = reader.resonant(key, limit=3, threshold=0.2)
    except NotFoundError:
        return None
    return None if found is None else [(node.key, near) for node, near in found]


edits = st.lists(
    st.one_of(
        st.builds(
            PutNode,
            st.sampled_from("abc"),
            st.sampled_from((*LABELS.values(), "late bread")),
        ),
        st.builds(DeleteNode, st.sampled_from("abc")),
        st.builds(RestoreNode, st.sampled_from("abc")),
        st.just("embed"),
        st.sampled_from((TAG, OTHER_TAG)),
    ),
    max_size=15,
)


@settings(max_examples=settings().max_examples // 2)
@given(edits)
def test_what_is_kept_in_memory_never_answers_for_what_was(history: list[Any]) -> None:
    """After every change a reader that was asked before answers as a new one does."""
    with shelf() as held:
        model = held.model()
        for step in history:
            if isinstance(step, bytes):
                model = held.model(step)
                held.embed(held.queue(model), model)
                held.settle(model)
            elif step == "embed":
                held.embed(held.queue(model), model)
            else:
                held.do(step)
            with MeaningReader(held.device.database, held.replica.index) as new:
                for text in LABELS.values():
                    assert answers(held.reader, text) == answers(new, text)
                for key in "abc":
                    assert resonance(held.reader, key) == resonance(new, key)
