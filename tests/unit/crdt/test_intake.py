"""Envelopes of other devices: what is taken, what is refused, and that all is kept."""

import random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.arrival import Cause
from crdt.chain import EMPTY_CHAIN, head_after
from crdt.commands import (
    AnyCommand,
    DeleteNode,
    PatchNode,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.envelope import decode, envelope_hash
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import NodeKey, shard_of
from crdt.payload import BodyChange, EnergyChange, ShardChange
from crdt.space_keys import epoch_key, new_space_keys
from crdt.yjs_update import encode_creations
from tests.support.exchanging import (
    check_equal,
    check_rebuilt,
    first,
    give,
    give_badly,
    missing,
    running,
    sealed,
    settle,
)
from tests.support.histories import Write, perform, writes
from tests.support.replicas import (
    SPACE_KEYS,
    Device,
    content,
    identity,
    scratch_folder,
)

TEAM: Final = 3
A: Final = NodeKey("a")


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.monotonic_ms += 1000
    device.replica.apply(commands, device.now_ms)


def energy(amount: float = 1.0) -> EnergyChange:
    return EnergyChange(identity(1).device, ((A, amount),))


def refusals(device: Device, *envelopes: bytes) -> list[Cause]:
    received = device.replica.receive_envelopes(envelopes, device.now_ms)
    return [each.cause for each in received.refused]


@settings(max_examples=settings().max_examples // 4)
@given(
    st.lists(
        st.tuples(st.integers(0, TEAM - 1), writes)
        | st.tuples(st.integers(0, TEAM - 1), st.integers(0, TEAM - 1)),
        max_size=14,
    ),
    st.integers(0, 2**32),
)
def test_replicas_converge_over_a_bad_network(
    history: list[tuple[int, Write | int]], seed: int
) -> None:
    """Lost, doubled, reordered and flipped envelopes delay, and do nothing worse."""
    roll = random.Random(seed)
    with running(TEAM) as devices:
        for who, what in history:
            if isinstance(what, Write):
                perform(devices[who], what)
            elif who != what:
                give_badly(devices[who], devices[what], roll)
        for device in devices:
            check_rebuilt(device)
        settle(devices)
        check_equal(devices)


@settings(max_examples=settings().max_examples // 4)
@given(st.lists(writes, min_size=1, max_size=6), st.data())
def test_what_a_vector_names_survives(
    history: list[Write], data: st.DataObject
) -> None:
    """Killed after any batch, a replica has all that it said it holds, and goes on."""
    with scratch_folder() as folder:
        writer, reader = Device(folder / "writer"), Device(folder / "reader", 1)
        with writer.running():
            for step in history:
                perform(writer, step)
            with reader.running(clean=False):
                envelopes = missing(writer, reader)
            while envelopes:
                count = data.draw(st.integers(1, len(envelopes)))
                with reader.running(clean=False) as replica:
                    said = replica.receive_envelopes(envelopes[:count], 0)
                    assert said.refused == []
                with reader.running(clean=False) as replica:
                    assert replica.vector == said.vector
                envelopes = envelopes[count:]
            with reader.running():
                assert content(reader) == content(writer)
                assert reader.replica.vector == writer.replica.vector


def test_concurrent_work_on_the_same_nodes_converges() -> None:
    """Created, edited, deleted and restored on three devices, nodes end up the same."""
    roll = random.Random(7)
    keys = [f"{number}" for number in range(6)]

    def command(device: Device) -> AnyCommand:
        key, other = roll.choice(keys), roll.choice(keys)
        return roll.choice(
            (
                PutNode(key, f"by {device.number} at {device.now_ms}"),
                PatchNode(key, label=f"edit of {device.number}", metadata={other: 1}),
                DeleteNode(key),
                RestoreNode(key),
                PutEdge(key, other, weight=roll.random()),
                PutBody(key, f"{roll.random()}"),
            )
        )

    with running(TEAM) as devices:
        for _ in range(60):
            for device in devices:
                write(device, *(command(device) for _ in range(6)))
            giver, taker = roll.sample(devices, 2)
            give_badly(giver, taker, roll)
        settle(devices)
        check_equal(devices)
        for device in devices:
            check_rebuilt(device)


def test_an_edit_that_comes_before_its_creation_is_edited_over() -> None:
    """What a person puts shows as they put it, over a change that came too early."""
    with running(3) as (author, editor, late):
        write(author, PutNode("a", "first", metadata={"x": 1}), PutNode("b", "b"))
        write(author, PutEdge("a", "b", weight=0.5))
        give(author, editor)
        write(editor, PatchNode("a", label="edited"), PutEdge("a", "b", weight=0.25))
        write(editor, PutNode("c", "c"), DeleteNode("b"))
        early = [
            each
            for each in missing(editor, late)
            if decode(each).header.device == editor.identity.device
        ]
        assert refusals(late, *early) == []
        write(late, PutNode("a", "mine"), PutNode("b", "mine"), PutEdge("a", "b"))

        assert b'"label":"mine"' in content(late).nodes["a"][0]
        assert content(late).counts == (3, 1)
        assert b'"weight":1.0' in content(late).edges["a", "child", "b"]
        check_rebuilt(late)
        settle((author, editor, late))
        check_equal((author, editor, late))


def test_a_bad_envelope_harms_its_own_device_only() -> None:
    """Of a batch, what follows a refused envelope waits, others are taken."""
    with running(3) as (here, there, third):
        for device in (there, third):
            for number in range(3):
                write(device, PutNode(f"{device.number} {number}", "x"))
                device.replica.seal()
        bad = missing(there, here)
        bad[1] = bad[1][:-1] + bytes([bad[1][-1] ^ 1])
        batch = [*bad[:2], *missing(third, here), bad[2]]

        assert refusals(here, *batch) == [Cause.FORGED, Cause.GAP]
        assert content(here).nodes.keys() == {"1 0", "2 0", "2 1", "2 2"}
        settle((here, there, third))
        check_equal((here, there, third))


def test_what_a_document_refuses_harms_its_own_device_only() -> None:
    """An update that parses but does not fit is found late; others are taken."""
    roll = identity(2)
    with running(2) as (here, there):
        write(here, PutNode("a", "a"), PutBody("a", "one 😀 two"))
        write(there, PutNode("b", "b"))
        client = here.identity.client_id
        half = bytes([0, 1]) + _number(client) + bytes([1, 4, 1])
        spoilt = first(roll, energy(2.0), BodyChange(A, half))
        following = sealed(roll, head_after(decode(spoilt)), energy(3.0))
        before = here.replica.vector

        assert refusals(here, spoilt, *missing(there, here), following) == [
            Cause.MALFORMED,
            Cause.GAP,
        ]
        assert content(here).nodes.keys() == {"a", "b"}
        assert content(here).energy == {}
        held = dict.fromkeys((there.identity.device,), 1)
        assert here.replica.vector == {**before, **held}


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def test_strangers_and_foreign_spaces_are_refused() -> None:
    """Who is not in the roster, or writes in another space, is not even verified."""
    stranger = identity(99)
    foreign = new_space_keys(b"\x08" * 32)
    with running(2) as (here, there):
        view = content(here), here.replica.totals
        assert refusals(here, first(stranger, energy())) == [Cause.STRANGER]
        write(there, PutNode("a", "a"))
        (envelope,) = missing(there, here)
        moved = envelope.replace(SPACE_KEYS.space_id, foreign.space_id)
        assert refusals(here, moved) == [Cause.FOREIGN_SPACE]
        assert (
            refusals(here, b"", b"\x99", envelope[:-1], envelope + b"\0")
            == [Cause.MALFORMED] * 4
        )
        assert (content(here), here.replica.totals) == view


def test_a_missing_key_can_come_later() -> None:
    """Under an epoch whose key is missing nothing is stored, and nothing is lost."""
    later = epoch_key(b"\x21" * 32)
    author = identity(1)
    with scratch_folder() as folder:
        here = Device(folder / "here")
        envelope = sealed(author, EMPTY_CHAIN, energy(), epoch=later)
        with here.running() as replica:
            totals = replica.totals
            assert refusals(here, envelope) == [Cause.NO_KEY]
            assert replica.totals == totals
            assert replica.vector == {}
        here.keys = msgspec.structs.replace(
            SPACE_KEYS, epochs=(*SPACE_KEYS.epochs, later)
        )
        with here.running() as replica:
            assert refusals(here, envelope) == []
            assert replica.vector == {author.device: 1}


def test_many_open_bytes_take_several_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What unfolds to more than memory should hold is written piece by piece."""
    monkeypatch.setattr("crdt.arrival.MAX_OPEN_BYTES", 10)
    with running(2) as (here, there):
        for number in range(5):
            write(there, PutNode(f"{number}", "x" * 100))
        before = here.replica.totals.journal
        received = give(there, here)

        assert here.replica.totals.journal == before + 5
        assert len(received.committed.events) == 5
        assert received.committed.first_event == 1
        assert len(received.committed.advanced) == 5
        assert content(here) == content(there)


def test_advanced_envelopes_are_told_once() -> None:
    """Own envelopes when they are sealed, others' when they are taken, never twice."""
    with running(2) as (here, there):
        told: list[tuple[bytes, int, bytes]] = []
        for key in "ab":  # the second comes too soon to be sealed at once
            told += here.replica.apply([PutNode(key, "x")], here.now_ms).advanced
        here.replica.close()
        assert here.replica.seal_due_ms is not None
        told += here.replica.seal().advanced
        assert here.replica.seal_due_ms is None
        told += here.replica.seal().advanced
        write(there, PutNode("c", "c"))
        told += give(there, here).committed.advanced
        told += give(there, here).committed.advanced
        assert [each[:2] for each in told] == [
            (here.identity.device, 1),
            (here.identity.device, 2),
            (there.identity.device, 1),
        ]
        with EnvelopeReader(here.database, here.identity.device) as reader:
            for device, sequence, encoded in told:
                assert reader.after(device, sequence - 1, 1) == [encoded]
                assert reader.has(device, sequence)
                assert not reader.has(device, 3)
                assert reader.oldest(device) == 1
            assert reader.oldest(identity(5).device) is None


def test_envelopes_are_given_in_order_and_bounded() -> None:
    """A reader gives a run without a gap, of so many bytes, but one at least."""
    with running(1) as (here,):
        for number in range(4):
            write(here, PutNode(f"{number}", "x"))
        all_of_them = [each.encoded for each in here.envelopes()]
        own = here.identity.device
        with EnvelopeReader(here.database, own) as reader:
            assert reader.after(own, 0, 2**30) == all_of_them
            assert reader.after(own, 0, 1) == all_of_them[:1]
            two = len(all_of_them[1]) + len(all_of_them[2])
            assert reader.after(own, 1, two) == all_of_them[1:3]
            assert reader.after(own, 4, 2**30) == []
            here.database.writer.execute("DELETE FROM envelope WHERE sequence = 2")
            assert reader.after(own, 0, 2**30) == all_of_them[:1]
            assert reader.after(own, 1, 2**30) == []


def test_creations_across_a_gap_are_what_the_shards_say() -> None:
    """Entries behind missing ones of their author, and those then, come in as well."""
    author = identity(1)
    number = shard_of(SPACE_KEYS.shard_secret, A)
    early, late = (
        ShardChange(number, encode_creations(author.client_id, clock, [entry]))
        for clock, entry in enumerate(
            (("n", f"{A}\x1fm.x", '[7, 2, "x"]'), ("n", f"{A}\x1f@1", '[5, "new"]'))
        )
    )
    with running(1) as (here,):
        before = first(author, late)
        assert refusals(here, before) == []
        check_rebuilt(here)
        assert refusals(here, sealed(author, head_after(decode(before)), early)) == []
        check_rebuilt(here)
        assert b'"metadata":{"x":"x"}' in content(here).nodes["a"][0]


def test_a_huge_vector_is_only_noted() -> None:
    """A peer that claims to hold everything harms its own copy at most."""
    with running(2) as (here, there):
        peer = there.identity.device
        claims = {identity(n).device: 2**70 for n in range(4)}
        claims |= {identity(100 + n).device: n for n in range(1000)}
        here.replica.note_acknowledged(peer, claims, here.now_ms)
        here.replica.note_acknowledged(identity(99).device, claims, here.now_ms)
        assert here.replica.acknowledged.keys() == {peer}
        assert len(here.replica.acknowledged[peer]) == 4
        here.replica.close()


def test_heads_are_those_of_the_stored_envelopes() -> None:
    """After any exchange each head is the last stored envelope of its device."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"))
        write(there, PutNode("b", "b"))
        settle((here, there))
        for device, head in here.replica.heads.items():
            with EnvelopeReader(here.database, here.identity.device) as reader:
                (last,) = reader.after(device, head.sequence - 1, 1)
            assert envelope_hash(last) == head.hash
