"""On how many devices a node is safe, what is pending, and which envelopes may go."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.commands import AnyCommand, DeleteNode, PatchNode, PutBody, PutNode
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import NodeKey
from crdt.pruning import AWAY_MS
from crdt.vectors import VersionVector, covers, held_by_all, joined, missing
from tests.support.exchanging import check_equal, checkpoint_of, give, settle
from tests.support.exchanging import missing as lacking
from tests.support.replicas import Device, identity, scratch_folder

PAIR: Final = (identity(0), identity(1))
TRIO: Final = (*PAIR, identity(2))
A, B = NodeKey("a"), NodeKey("b")
vectors: st.SearchStrategy[VersionVector] = st.dictionaries(
    st.integers(0, 3).map(lambda number: identity(number).device), st.integers(0, 9)
)


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.monotonic_ms += 1000
    device.replica.apply(commands, device.now_ms)


def prune(device: Device) -> None:
    while device.replica.prune(device.now_ms):
        pass


def stored(device: Device) -> int:
    return len(device.database.writer.execute("SELECT 1 FROM envelope").fetchall())


@given(vectors, vectors, vectors)
def test_vectors_join_and_cover(
    one: VersionVector, two: VersionVector, other: VersionVector
) -> None:
    """A joined vector covers both; whoever covers a vector lacks nothing of it."""
    both = joined(one, two)
    assert covers(both, one)
    assert covers(both, two)
    assert covers(other, both) == (covers(other, one) and covers(other, two))
    assert (missing(one, two) == 0) == covers(two, one)


@given(vectors, st.lists(vectors, max_size=3))
def test_what_all_hold_each_holds(
    own: VersionVector, said: list[VersionVector]
) -> None:
    """What every reader holds is held by each of them, and is no more than is here."""
    held = {identity(number).device: vector for number, vector in enumerate(said)}
    everywhere = held_by_all(own, held.keys(), held)
    assert covers(own, everywhere)
    assert all(covers(vector, everywhere) for vector in said)
    silent = held_by_all(own, [*held, identity(9).device], held)
    assert set(silent.values()) <= {0}


def test_a_node_is_safe_where_its_last_change_is_acknowledged() -> None:
    """Each change starts at none; unsealed, it is nowhere but here."""
    with scratch_folder() as folder:
        here, there, third = (
            Device(folder / f"{n}", n, members=TRIO) for n in range(3)
        )
        with here.running() as replica, there.running(), third.running():
            write(here, PutNode("a", "a"), PutNode("b", "b"))
            assert (replica.safe_on(A), replica.safe_on(B)) == (0, 0)
            give(here, there)
            assert (replica.safe_on(A), replica.safe_on(B)) == (1, 1)
            give(here, third)
            assert (replica.safe_on(A), replica.safe_on(B)) == (2, 2)
            prune(here)
            assert (replica.safe_on(A), replica.safe_on(B)) == (2, 2)

            write(here, PatchNode("a", label="new"))
            assert (replica.safe_on(A), replica.safe_on(B)) == (0, 2)
            assert replica.pending(there.identity.device) == 1
            give(here, there)
            assert (replica.safe_on(A), replica.safe_on(B)) == (1, 2)
            assert replica.pending(there.identity.device) == 0
            assert replica.pending(third.identity.device) == 1

            replica.apply([PutBody("b", "text")], here.now_ms)
            replica.apply([DeleteNode("b")], here.now_ms)
            assert replica.seal_due_ms is not None
            assert replica.safe_on(B) == 0
            give(here, there)
            assert replica.safe_on(B) == 1


def test_a_node_of_another_device_is_safe_there() -> None:
    """Its author holds it; that it says so with its own vector is enough."""
    with scratch_folder() as folder:
        here, there = (Device(folder / f"{n}", n, members=TRIO) for n in range(2))
        with here.running() as replica, there.running() as other:
            write(there, PutNode("a", "a"))
            give(there, here)
            assert replica.safe_on(A) == 0
            peer = there.identity.device
            replica.note_acknowledged(peer, other.vector, here.now_ms)
            assert replica.safe_on(A) == 1
            assert other.safe_on(A) == 1


def test_what_is_known_of_others_survives() -> None:
    """After a stop, counts and pending are as they were; a crash forgets the newest."""
    with scratch_folder() as folder:
        here, there = (Device(folder / f"{n}", n, members=PAIR) for n in range(2))
        peer = there.identity.device
        with there.running():
            with here.running(clean=False) as replica:
                write(here, PutNode("a", "a"))
                give(here, there)
                replica.save_acknowledgements()
                acknowledged = replica.acknowledged
                write(here, PutNode("b", "b"))
                replica.note_acknowledged(peer, replica.vector, here.now_ms)
                assert replica.safe_on(B) == 1
            with here.running() as replica:
                assert replica.acknowledged == acknowledged
                assert (replica.safe_on(A), replica.safe_on(B)) == (1, 0)
                assert replica.pending(peer) == 1
                give(here, there)
            with here.running() as replica:
                assert (replica.safe_on(A), replica.safe_on(B)) == (1, 1)


def test_nothing_goes_while_nobody_else_reads() -> None:
    """Alone in its roster a device keeps every envelope, whatever anybody claims."""
    with scratch_folder() as folder:
        here = Device(folder / "here", members=PAIR[:1])
        with here.running() as replica:
            write(here, PutNode("a", "a"))
            replica.note_acknowledged(identity(1).device, replica.vector, here.now_ms)
            prune(here)
            assert stored(here) == 1
            assert replica.safe_on(A) == 0


def test_what_every_reader_has_goes() -> None:
    """An envelope stays until all have acknowledged it, and later ones stay."""
    with scratch_folder() as folder:
        here, there, third = (
            Device(folder / f"{n}", n, members=TRIO) for n in range(3)
        )
        with here.running() as replica, there.running(), third.running():
            for number in range(300):
                write(here, PutNode(f"{number}", "x"))
            give(here, there)
            prune(here)
            assert stored(here) == 300
            give(here, third)
            assert replica.prune(here.now_ms)
            assert stored(here) == 300 - 256
            write(here, PutNode("later", "x"))
            prune(here)
            assert stored(here) == 1
            assert replica.vector == {here.identity.device: 301}
            settle((here, there, third))
            check_equal((here, there, third))


def test_a_newcomer_gets_a_checkpoint_of_what_went() -> None:
    """Who lacks what was pruned is given nothing piecemeal, and all at once."""
    with scratch_folder() as folder:
        here, there, late = (
            Device(folder / f"{n}", n, members=PAIR if n < 2 else TRIO)
            for n in range(3)
        )
        with here.running() as replica, there.running():
            write(here, PutNode("a", "a"))
            give(here, there)
            prune(here)
            with late.running() as newcomer:
                replica.receive_statements(newcomer.statements, here.now_ms)
                assert lacking(here, late) == []
                newcomer.receive_statements(replica.statements, here.now_ms)
                for part in checkpoint_of(here):
                    assert newcomer.install_checkpoint_part(part, 0).cause is None
                check_equal((here, late))


@pytest.mark.parametrize("is_full", [False, True])
def test_a_device_long_away_holds_up_only_so_much(
    monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    """After 30 days of silence its envelopes go, once they take too much room."""
    monkeypatch.setattr("crdt.pruning.KEPT_BYTES", 100 if is_full else 10**6)
    with scratch_folder() as folder:
        here, there, _ = (Device(folder / f"{n}", n, members=TRIO) for n in range(3))
        with here.running() as replica, there.running():
            replica.note_acknowledged(identity(2).device, {}, here.now_ms)
            write(here, PutNode("a", "a"))
            give(here, there)
            prune(here)
            assert stored(here) == 1
            here.now_ms += AWAY_MS
            give(here, there)
            prune(here)
            assert stored(here) == (0 if is_full else 1)
            assert replica.safe_on(A) == 1


def test_a_reader_opens_while_the_owner_writes() -> None:
    """What is given to others is read beside the owner, committed states only."""
    with scratch_folder() as folder:
        here = Device(folder / "here", members=PAIR)
        with here.running():
            write(here, PutNode("a", "a"))
            own = here.identity.device
            with EnvelopeReader(here.database, own) as reader:
                here.database.writer.execute("BEGIN IMMEDIATE")
                here.database.writer.execute("DELETE FROM envelope")
                assert reader.has(own, 1)
                here.database.writer.execute("ROLLBACK")
