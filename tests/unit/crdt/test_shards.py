"""Shards: whatever layers their updates lie in, they hold what was written."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Final, TypeAlias

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.database import Connection, Database
from crdt.errors import DamagedError, MalformedError
from crdt.ids import ShardNumber
from crdt.shards import LOADED_COUNT, Shards, pack, unpack
from crdt.yjs_profile import EDGES, NODES
from tests.support.replicas import STORE_KEY, scratch_folder

CLIENT: Final = 7
Model: TypeAlias = dict[ShardNumber, dict[tuple[str, str], str]]
"""Values by shard, map and key."""

numbers = st.integers(0, 2).map(ShardNumber)
names = st.sampled_from((NODES, EDGES))
map_keys = st.sampled_from(("a", "b", "c\x1f@1", "é"))
values = st.text(max_size=4)
entry_lists = st.dictionaries(
    st.tuples(names, map_keys), values, min_size=1, max_size=4
)
steps: st.SearchStrategy[tuple[str, ShardNumber, dict[tuple[str, str], str]]] = (
    st.one_of(
        st.tuples(st.just("write"), numbers, entry_lists),
        st.tuples(st.just("write"), numbers, entry_lists),
        st.tuples(st.just("undo"), numbers, entry_lists),
        st.tuples(
            st.sampled_from(("freeze", "compact", "reload")), numbers, st.just({})
        ),
    )
)


@contextmanager
def connected() -> Iterator[Connection]:
    with scratch_folder() as home, Database(home, STORE_KEY) as database:
        yield database.writer


def entries(shards: Shards, number: ShardNumber) -> dict[tuple[str, str], str]:
    found = shards.thaw(number).entries()
    return {(name, key): value for name in found for key, value in found[name].items()}


def write(
    shards: Shards,
    number: ShardNumber,
    wanted: dict[tuple[str, str], str],
    model: Model,
) -> bytes:
    """Write new keys without loading the shard and known ones with it."""
    held = model.setdefault(number, {})
    listed = [(name, key, value) for (name, key), value in wanted.items()]
    is_new = not held.keys() & wanted.keys()
    held |= wanted
    return (shards.create if is_new else shards.write)(number, listed)


def freeze(shards: Shards) -> None:
    shards.begin()
    shards.freeze()
    shards.forget_fresh()


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(steps, max_size=20))
def test_shards_hold_what_was_written(
    history: list[tuple[str, ShardNumber, dict[tuple[str, str], str]]],
) -> None:
    """Created or overwritten, taken back, frozen, compacted or read again."""
    model: Model = {}
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        for action, number, wanted in history:
            shards.begin()
            match action:
                case "write":
                    write(shards, number, wanted, model)
                case "undo":
                    before = list(shards.updates(number))
                    write(shards, number, wanted, deepcopy(model))
                    shards.undo()
                    assert list(shards.updates(number)) == before
                case "freeze":
                    freeze(shards)
                case "compact":
                    freeze(shards)
                    if number in set(shards.occupied()):
                        shards.compact(number)
                case _:
                    freeze(shards)
                    shards = Shards(connection, CLIENT)
        assert {number: entries(shards, number) for number in model} == model
        assert set(shards.occupied()) == model.keys()


def test_a_change_of_many_shards_keeps_few_loaded() -> None:
    """Shards that were dropped from memory are thawed with what they held."""
    dice = random.Random(3)
    model: Model = {}
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        for turn in range(3 * LOADED_COUNT):
            number = ShardNumber(dice.randrange(2 * LOADED_COUNT))
            write(shards, number, {(NODES, "a"): f"{turn}"}, model)
            if turn % 200 == 0:
                freeze(shards)
        assert {number: entries(shards, number) for number in model} == model


def foreign_updates() -> list[bytes]:
    """Return updates of another device, each changing what the one before wrote."""
    document: pycrdt.Doc[pycrdt.Map[str]] = pycrdt.Doc(client_id=9)
    nodes = document.get(NODES, type=pycrdt.Map)
    updates = []
    for turn in range(4):
        before = document.get_state()
        nodes["a"] = f"foreign {turn}"
        updates.append(document.get_update(before))
    return updates


def keep_fresh(shards: Shards) -> None:
    del shards


@pytest.mark.parametrize("settle", [freeze, keep_fresh])
def test_what_waits_for_a_missing_update_is_kept(
    settle: Callable[[Shards], None],
) -> None:
    """An update that came too early takes effect when the missing one is there."""
    number = ShardNumber(5)
    first, *later = foreign_updates()
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        for update in reversed(later):
            shards.begin()
            shards.receive(number, update)
            settle(shards)
        assert entries(shards, number) == {}
        freeze(shards)
        shards.begin()
        shards.compact(number)
        shards = Shards(connection, CLIENT)
        shards.begin()
        shards.receive(number, first)

        assert entries(shards, number) == {(NODES, "a"): "foreign 3"}


def test_a_replayed_journal_continues_the_clock() -> None:
    """What was written before a crash is there, and what follows goes behind it."""
    number = ShardNumber(1)
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        updates = [
            shards.create(number, [(NODES, "a", "1"), (NODES, "b", "1")]),
            shards.write(number, [(NODES, "a", "2")]),
        ]
        again = Shards(connection, CLIENT)
        for update in updates:
            again.replay(number, update)
        again.begin()
        again.create(number, [(EDGES, "c", "3")])

        assert entries(again, number) == {
            (NODES, "a"): "2",
            (NODES, "b"): "1",
            (EDGES, "c"): "3",
        }


def test_a_shard_that_lost_own_changes_is_damaged() -> None:
    """Writing on from a clock that was used before would diverge for ever."""
    number = ShardNumber(1)
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        shards.create(number, [(NODES, "a", "1")])
        freeze(shards)
        connection.execute("DELETE FROM shard_tail")

        with pytest.raises(DamagedError):
            Shards(connection, CLIENT).thaw(number)


def test_an_update_that_does_not_apply_is_taken_back() -> None:
    """After `undo` a shard that met an update of another kind is as before."""
    number = ShardNumber(1)
    with connected() as connection:
        shards = Shards(connection, CLIENT)
        shards.begin()
        shards.create(number, [(NODES, "a", "1")])
        shards.begin()
        with pytest.raises(MalformedError):
            shards.receive(number, b"\xff" * 5)
        shards.undo()

        assert entries(shards, number) == {(NODES, "a"): "1"}


@given(st.lists(st.binary(max_size=50)))
def test_packing_keeps_pieces_apart(pieces: list[bytes]) -> None:
    """What is packed comes out as it was, piece by piece."""
    assert unpack(pack(pieces)) == pieces
