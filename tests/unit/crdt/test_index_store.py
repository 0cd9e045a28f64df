"""The graph index between two runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.commands import DeleteEdge, DeleteNode, PatchNode, Pulse, PutEdge, PutNode
from crdt.ids import NodeKey, edge_id
from crdt.index_store import unsaved_rows
from tests.support.histories import Step, Write, histories, perform
from tests.support.replicas import Device, content, living, scratch_folder


def view(device: Device) -> tuple[object, ...]:
    return content(device), living(device.replica), device.replica.totals


def save(device: Device) -> None:
    device.replica.save_index(at_least=0)


def keep(device: Device) -> None:
    del device


def forget(device: Device) -> None:
    device.database.writer.execute("DELETE FROM index_column")


@given(histories, histories, st.sampled_from((save, keep)), st.booleans())
@settings(max_examples=settings().max_examples // 4)
def test_a_start_shows_what_the_last_run_showed(
    before: list[Step],
    after: list[Step],
    chore: Callable[[Device], None],
    clean: bool,  # noqa: FBT001 - drawn, not passed
) -> None:
    """Closed or just ended, with saved columns or without: the graph is the same."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running(clean=clean):
            for step in before:
                perform(device, step)
            chore(device)
            for step in after:
                perform(device, step)
            ended = view(device)
        with device.running():
            started = view(device)
            assert started[:2] == ended[:2]
            perform(device, Write([PutNode("one", "more"), PutEdge("one", "one")]))
            more = view(device)
        with device.running():
            assert view(device)[:2] == more[:2]


@pytest.mark.parametrize("commands", [[], [PutNode("a", "a")]])
def test_a_graph_without_nodes_or_edges_is_saved(commands: list[PutNode]) -> None:
    """Columns may be empty."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            replica.apply(commands, device.now_ms)
            save(device)
            saved = view(device)
        with device.running():
            assert view(device)[:2] == saved[:2]


def test_a_start_reads_only_what_was_not_saved() -> None:
    """After the columns were written only new and changed rows count as unsaved."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            replica.apply([PutNode(f"{n}", "x") for n in range(9)], device.now_ms)
            replica.apply([PutEdge("1", "2")], device.now_ms)
            connection = device.database.writer
            assert unsaved_rows(connection, replica.index) >= 10

            save(device)
            assert unsaved_rows(connection, replica.index) == 0

            edge = edge_id(NodeKey("1"), "child", NodeKey("2"))
            replica.apply([PatchNode("3", label="y")], device.now_ms)
            replica.apply([Pulse("4"), DeleteNode("5")], device.now_ms)
            replica.apply([PutNode("new", "x"), DeleteEdge(edge)], device.now_ms)
            assert 0 < unsaved_rows(connection, replica.index) <= 6
            shown = view(device)
        with device.running():
            assert view(device)[:2] == shown[:2]


def test_missing_columns_are_built_anew() -> None:
    """A store whose columns are gone shows the same graph."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            replica.apply([PutNode("a", "a"), PutEdge("a", "a")], device.now_ms)
            save(device)
            forget(device)
            shown = view(device)
        with device.running():
            assert view(device)[:2] == shown[:2]


def test_what_is_frozen_is_not_replayed() -> None:
    """Updates that stand in tails and wait for an envelope are not frozen again."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running(clean=False) as replica:
            replica.apply([PutNode("a", "a")], device.now_ms)
            replica.apply([PutNode("b", "b")], device.now_ms)
            assert replica.seal_due_ms is not None
            replica.freeze()
            tails = "SELECT * FROM shard_tail"
            frozen = device.database.writer.execute(tails).fetchall()
        with device.running() as replica:
            assert replica.seal_due_ms is not None
            replica.apply([PutNode("c", "c")], device.now_ms)
            replica.freeze()
            now_frozen = device.database.writer.execute(tails).fetchall()
            assert len(now_frozen) == len(frozen) + 1
            assert set(now_frozen) > set(frozen)


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """A copy of the files at any moment is a store with everything acknowledged."""
    device = Device(tmp_path / "home")
    copies = []
    with device.running() as replica:
        for number in range(12):
            replica.apply(
                [PutNode(f"{number}", "x"), PutEdge(f"{number}", "0"), Pulse("0")],
                device.now_ms,
            )
            if number % 4 == 1:
                replica.freeze()
            if number % 4 == 2:
                replica.seal()
                save(device)
            copy = tmp_path / f"copy {number}"
            shutil.copytree(device.home, copy)
            copies.append((copy, view(device)))
    for copy, shown in copies:
        survivor = Device(copy)
        with survivor.running():
            assert view(survivor) == shown


def test_columns_of_another_layout_are_as_if_absent() -> None:
    """A program that lays columns out otherwise builds the index from the rows."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply([PutNode("a", "A"), PutNode("b", "B")], device.now_ms)
            replica.apply([PutEdge("a", "b")], device.now_ms)
            save(device)
            device.database.writer.execute(
                "UPDATE index_column SET name = '0' || name, data = x'07'"
            )
            expected = content(device), living(replica)
        with device.running() as replica:
            assert expected == (content(device), living(replica))
