"""What Yjs clients do to a body becomes this device's own change, once and whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc

from crdt.arrival import Cause
from crdt.bodies import missing_of_body
from crdt.commands import DeleteNode, EditBody, Executable, PutBody, PutNode
from crdt.committed import Committed
from crdt.errors import (
    InvalidError,
    MalformedError,
    NotFoundError,
    RefusedError,
)
from crdt.execution import Outcome
from crdt.ids import MAX_BODY_BYTES, NodeKey
from crdt.payload import BodyChange
from crdt.replica import Replica
from crdt.yjs_bytes import encode_number
from crdt.yjs_profile import BODY
from crdt.yjs_update import EMPTY_UPDATE, parse
from tests.support.exchanging import checkpoint_of
from tests.support.exchanging import running as exchanging
from tests.support.replicas import (
    START_MS,
    Device,
    content,
    deliver,
    first_envelope,
    opened,
    scratch_folder,
)
from tests.support.yjs_clients import YjsClient

KEY: Final = "mill"
WORDS: Final = ("a", "die Mühle ", "💧", "x" * 300)
Step = tuple[int, int, int, str]
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.integers(0, 40), st.sampled_from(WORDS)
    ),
    min_size=1,
    max_size=12,
)
"""(who, what, where, which word)."""


@contextmanager
def running(number: int = 0) -> Iterator[Device]:
    """Run a device that has the node."""
    with scratch_folder() as folder:
        device = Device(folder / "home", number)
        with device.running(clean=False) as replica:
            replica.apply([PutNode(key=KEY, label="Mill")], START_MS)
            yield device


def outcome(committed: Committed) -> Outcome | RefusedError:
    (found,) = committed.outcomes
    return found


def edit(replica: Replica, *updates: bytes) -> Committed:
    return replica.apply([EditBody(key=KEY, updates=updates)], START_MS)


def body(device: Device) -> str:
    return content(device).nodes[KEY][1]


def step(client: YjsClient, what: int, where: int, word: str) -> bytes:
    """Let a client do one thing."""
    length = len(client.text)
    if what == 0 and length:
        return client.delete(where % length, 1 + where % 3)
    return client.insert(where % (length + 1), word)


@settings(max_examples=settings().max_examples // 2)
@given(steps=STEPS)
def test_clients_and_commands_make_one_text(steps: list[Step]) -> None:
    """However edits mix, the body, the clients and another device show one text."""
    clients = [YjsClient(1001), YjsClient(1002)]
    with running() as device, running(1) as other:
        told: list[bytes] = []
        for who, what, where, word in steps:
            if who < len(clients):
                command: Executable = EditBody(
                    key=KEY, updates=(step(clients[who], what, where, word),)
                )
            else:
                command = PutBody(key=KEY, text=word * (where % 5))
            committed = device.replica.apply([command], START_MS)
            assert isinstance(outcome(committed), Outcome)
            told += [change.update for change in committed.bodies]
        for client in clients:
            for update in told:
                client.hear(update)
        device.replica.seal()
        for envelope in device.envelopes():
            deliver(envelope, other)

        assert {client.text for client in clients} == {body(device)}
        assert content(other).nodes[KEY] == content(device).nodes[KEY]


def test_only_what_is_new_becomes_a_change() -> None:
    """A client that connects again repeats all that it holds; nothing is written."""
    client = YjsClient(1001)
    with running() as device:
        first = edit(device.replica, client.insert(0, "one two three"))
        edit(device.replica, client.delete(0, 4))
        events = device.replica.totals.events

        again = edit(device.replica, client.whole, client.whole)

        assert outcome(again) == Outcome(KEY, is_changed=False)
        assert (list(again.events), list(again.bodies)) == ([], [])
        assert device.replica.totals.events == events
        assert [change.node for change in first.bodies] == [KEY]


def test_a_change_carries_no_deletion_that_was_known() -> None:
    """Of all the deletions that a client repeats only the new ones are kept."""
    client = YjsClient(1001)
    with running() as device:
        edit(device.replica, client.insert(0, "abcdefgh"))
        edit(device.replica, client.delete(1, 1))
        client.delete(5, 1)

        committed = edit(device.replica, client.whole)

        (change,) = committed.bodies
        assert {1001: [(6, 7)]} == parse(change.update, BODY).deletes
        assert client.text == "acdefh" == body(device).replace("g", "")


def test_the_envelope_has_the_bytes_of_the_client() -> None:
    """What was sent is what other devices get."""
    update = YjsClient(1001).insert(0, "💧")
    with running() as device:
        edit(device.replica, update)
        device.replica.seal()

        changes = opened(device.envelopes()[-1], device.identity)

        assert BodyChange(NodeKey(KEY), update) in changes


@pytest.mark.parametrize(
    "update", [b"", b"\x01", b"\x00\x00\x00", bytes.fromhex("01016101000000")]
)
def test_what_does_not_parse_is_refused_alone(update: bytes) -> None:
    """Bytes that are no update of a body change nothing; what is with them stands."""
    client = YjsClient(1001)
    with running() as device:
        good = EditBody(key=KEY, updates=(client.insert(0, "good"),))
        bad = EditBody(key=KEY, updates=(client.insert(4, "!"), update))

        committed = device.replica.apply([good, bad], START_MS)

        assert isinstance(committed.outcomes[0], Outcome)
        assert isinstance(committed.outcomes[1], InvalidError)
        assert body(device) == "good"


def test_nobody_begins_to_write_under_a_device() -> None:
    """A client that took this device's client id is refused, but may repeat it."""
    with running() as device:
        own = device.identity.client_id
        forged = YjsClient(own).insert(0, "forged")
        assert isinstance(outcome(edit(device.replica, forged)), InvalidError)
        assert body(device) == ""

        (told,) = device.replica.apply([PutBody(key=KEY, text="x")], START_MS).bodies
        repeated = outcome(edit(device.replica, told.update))
        assert repeated == Outcome(KEY, is_changed=False)


def test_another_device_may_not_write_under_this_one() -> None:
    """An update of another device with this device's client id is a forgery."""
    with running() as device:
        own = device.identity.client_id
        change = BodyChange(NodeKey(KEY), YjsClient(own).insert(0, "forged"))

        received = device.replica.receive_envelopes(
            [first_envelope(1, change)], START_MS
        )

        assert [each.cause for each in received.refused] == [Cause.FORGED]
        assert body(device) == ""


def test_a_body_has_a_limit_and_may_shrink() -> None:
    """An edit over 4 MiB is refused; what is too long already may be made shorter."""
    client = YjsClient(1001)
    with running() as device:
        edit(device.replica, client.insert(0, "x" * MAX_BODY_BYTES))
        refused = outcome(edit(device.replica, client.insert(0, "é")))
        assert isinstance(refused, InvalidError)
        assert refused.field == "body"
        assert len(body(device)) == MAX_BODY_BYTES

        change = BodyChange(NodeKey(KEY), client.whole)
        received = device.replica.receive_envelopes(
            [first_envelope(1, change)], START_MS
        )
        assert not received.refused
        shrunk = edit(device.replica, client.delete(1, 1))
        assert isinstance(outcome(shrunk), Outcome)
        assert len(body(device).encode()) == MAX_BODY_BYTES + 1


def test_a_checkpoint_tells_of_bodies() -> None:
    """What a checkpoint brings of a body is told, so that who edits it sees it."""
    with exchanging(2) as (giver, taker):
        giver.replica.apply([PutNode(key=KEY, label="Mill")], START_MS)
        client = YjsClient(1001)
        edit(giver.replica, client.insert(0, "from elsewhere"))
        watching = YjsClient(1002)
        for part in checkpoint_of(giver):
            reception = taker.replica.install_checkpoint_part(part, START_MS)
            for change in reception.committed.bodies:
                watching.hear(change.update)

        assert watching.text == "from elsewhere" == body(taker)


def test_half_a_character_is_not_cut_off() -> None:
    """An update that deletes half a surrogate pair is refused."""
    client = YjsClient(1001)
    with running() as device:
        edit(device.replica, client.insert(0, "a💧b"))
        numbers = (0, 1, 1001, 1, 2, 1)
        half = b"".join(map(encode_number, numbers))

        assert isinstance(outcome(edit(device.replica, half)), InvalidError)
        assert body(device) == "a💧b"


def test_there_must_be_a_node() -> None:
    """A body without a visible node is not edited."""
    with running() as device:
        device.replica.apply([DeleteNode(key=KEY)], START_MS)
        update = YjsClient(1001).insert(0, "a")

        assert isinstance(outcome(edit(device.replica, update)), NotFoundError)


def test_what_was_undone_is_forgotten() -> None:
    """After a group that failed as a whole, the next edit builds on what is stored."""
    client = YjsClient(1001)
    with running() as device:
        edit(device.replica, client.insert(0, "not kept"))
        deletion = client.delete(0, 4)

        def failing() -> Iterator[Executable]:
            yield EditBody(key=KEY, updates=(deletion,))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            device.replica.apply(failing(), START_MS)
        assert body(device) == "not kept"
        edit(device.replica, deletion)

        assert body(device) == "kept"


def test_many_bodies_are_edited_in_turn() -> None:
    """However many bodies are edited, each edit builds on the body's own text."""
    keys = [f"node {number}" for number in range(12)]
    clients = [YjsClient(1001 + number) for number in range(len(keys))]
    with running() as device:
        device.replica.apply([PutNode(key=key, label=key) for key in keys], START_MS)
        for word in ("a💧", "b", "c"):
            for key, client in zip(keys, clients, strict=True):
                place = len(client.text)
                command = EditBody(key=key, updates=(client.insert(place, word),))
                device.replica.apply([command], START_MS)
        for key, client in zip(keys, clients, strict=True):
            update = client.delete(0, 1)
            device.replica.apply([EditBody(key=key, updates=(update,))], START_MS)

        shown = content(device).nodes
        assert {shown[key][1] for key in keys} == {"💧bc"}


@pytest.mark.parametrize(
    "early",
    [
        bytes.fromhex("01010900840701017800"),
        bytes.fromhex("000107010201"),
    ],
    ids=["insertion", "deletion"],
)
def test_nothing_waits_inside_a_character(early: bytes) -> None:
    """Half a character is not cut off by an update that came before its text either."""
    author = YjsClient(7)
    with running() as device:
        assert isinstance(outcome(edit(device.replica, early)), Outcome)

        refused = outcome(edit(device.replica, author.insert(0, "a💧b")))

        assert isinstance(refused, InvalidError)
        assert body(device) == ""


@settings(max_examples=settings().max_examples // 2)
@given(steps=STEPS)
def test_a_document_gets_what_it_lacks(steps: list[Step]) -> None:
    """From each state that a client ever had it comes to the text that is stored."""
    client = YjsClient(1001)
    states = [(EMPTY_UPDATE, client.state)]
    with running() as device:
        for _, what, where, word in steps:
            edit(device.replica, step(client, what, where, word))
            states.append((client.whole, client.state))
        number = device.replica.index.keys.number(KEY)

        for whole, state in states:
            late: Doc[Any] = Doc()
            late.apply_update(whole)
            found, held = missing_of_body(device.database.writer, number, state)
            late.apply_update(found)
            assert held == client.state == late.get_state()
            assert late.get_update() == client.whole


def test_a_state_inside_a_character_gets_all() -> None:
    """A state vector that no client has is answered so that nothing breaks."""
    client = YjsClient(1001)
    update = client.insert(0, "a💧b")
    with running() as device:
        edit(device.replica, update)
        number = device.replica.index.keys.number(KEY)
        inside = b"".join(map(encode_number, (1, 1001, 2)))

        found, _ = missing_of_body(device.database.writer, number, inside)

        assert parse(found, BODY).clients == {1001: (0, 4)}
        with pytest.raises(MalformedError):
            missing_of_body(device.database.writer, number, inside + b"\x00")


def test_what_waits_is_given_on() -> None:
    """What cannot be shown yet, for an update is missing, reaches clients, too."""
    author, reader = YjsClient(1001), YjsClient(1002)
    first, second = author.insert(0, "a"), author.insert(1, "b")
    with running() as device:
        edit(device.replica, second)
        number = device.replica.index.keys.number(KEY)
        found, _ = missing_of_body(device.database.writer, number, reader.state)
        reader.hear(found)
        assert (body(device), reader.text) == ("", "")

        edit(device.replica, first)
        reader.hear(first)

        assert (body(device), reader.text) == ("ab", "ab")
