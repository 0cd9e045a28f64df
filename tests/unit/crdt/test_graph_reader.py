"""Reads of a graph: lists, searches and walks at one committed state."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.commands import (
    AnyCommand,
    DeleteEdge,
    DeleteNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
)
from crdt.errors import NotFoundError
from crdt.graph_reader import GraphReader
from crdt.ids import NodeKey, edge_id
from crdt.records import Edge, Node
from tests.support.histories import KEYS, Step, histories, perform
from tests.support.replicas import Device, content, scratch_folder

awkward_keys = st.sampled_from(KEYS) | st.text("a\U0010ffff\U0010fffe", min_size=1)
queries = st.text(max_size=20) | st.text(
    'a*"^:()-+{} \x00AND ORNEAR,_ᵃ१\ud800', max_size=20
)


@dataclass
class Home:
    """A running device with a reader."""

    device: Device
    reader: GraphReader

    def write(self, *commands: AnyCommand) -> None:
        self.device.now_ms += 1
        self.device.replica.apply(commands, self.device.now_ms)


@contextmanager
def running() -> Iterator[Home]:
    with scratch_folder() as folder:
        device = Device(folder)
        with (
            device.running() as replica,
            GraphReader(device.database, replica.index) as reader,
        ):
            yield Home(device, reader)


def all_nodes(reader: GraphReader, limit: int, **filters: Any) -> list[Node]:
    found: list[Node] = []
    while page := reader.nodes(
        limit=limit, after=found[-1].key if found else "", **filters
    ):
        found += page
    return found


def all_edges(reader: GraphReader, limit: int, **filters: Any) -> list[Edge]:
    found: list[tuple[int, Edge]] = []
    while page := reader.edges(
        limit=limit, after=found[-1][0] if found else 0, **filters
    ):
        found += page
    return [edge for _, edge in found]


@settings(max_examples=settings().max_examples // 2)
@given(histories, st.integers(1, 3), st.sampled_from(("", "a", "\U0010ffff", "e")))
def test_lists_hold_everything_once(
    history: list[Step], limit: int, prefix: str
) -> None:
    """Page by page, each list has every fitting node or edge once, in order."""
    with running() as home:
        for step in history:
            perform(home.device, step)
        reader = home.reader
        every = [*all_nodes(reader, 1000), *all_nodes(reader, 1000, in_trash=True)]
        assert {node.key for node in every} == content(home.device).nodes.keys()
        assert len(every) == len(content(home.device).nodes)
        for in_trash in (False, True):
            nodes = [
                node for node in every if (node.deleted_ms is not None) == in_trash
            ]
            for kind in (None, "thought", "child"):
                assert all_nodes(
                    reader, limit, prefix=prefix, node_type=kind, in_trash=in_trash
                ) == [
                    node
                    for node in sorted(nodes, key=lambda node: node.key)
                    if node.key.startswith(prefix) and kind in (None, node.type)
                ]
        edges = [edge for _, edge in reader.edges(limit=1_000_000)]
        assert len(edges) == content(home.device).counts[1]
        assert all_edges(reader, limit) == edges
        for key in KEYS[:3]:
            for name, end in (("source", "source"), ("target", "target")):
                assert all_edges(reader, limit, **{name: key}) == [
                    edge for edge in edges if getattr(edge, end) == key
                ]
        for edge in edges:
            assert reader.edge(edge.id) == edge


@given(st.sets(awkward_keys, max_size=6), st.sets(awkward_keys, max_size=6), st.data())
@settings(max_examples=settings().max_examples // 2)
def test_a_list_goes_on_while_others_write(
    before: set[str], between: set[str], data: st.DataObject
) -> None:
    """What is there all the time comes once, whatever comes and goes meanwhile."""
    going = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    with running() as home:
        home.write(*(PutNode(key, "x") for key in before))
        home.write(*(PutEdge(key, key) for key in before))
        nodes = home.reader.nodes(limit=2)
        edges = home.reader.edges(limit=2)
        home.write(*(PutNode(key, "y") for key in between))
        home.write(*(PutEdge(key, key, "new") for key in between))
        home.write(*(DeleteNode(key) for key in going))
        while page := home.reader.nodes(limit=2, after=nodes[-1].key if nodes else ""):
            nodes += page
        while more := home.reader.edges(limit=2, after=edges[-1][0] if edges else 0):
            edges += more
    keys = [node.key for node in nodes]
    assert len(keys) == len(set(keys))
    assert before - going <= set(keys)
    numbers = [number for number, _ in edges]
    assert numbers == sorted(set(numbers))
    assert before - going <= {edge.source for _, edge in edges}


@given(st.lists(queries, min_size=20, max_size=20))
@settings(max_examples=settings().max_examples // 2)
def test_whatever_is_typed_finds_or_does_not(typed: list[str]) -> None:
    """No query is an error, and what stands in a label is found by it."""
    with running() as home:
        home.write(*(PutNode(f"{n}", text) for n, text in enumerate(typed)))
        for query in typed:
            for hit in home.reader.search(query, limit=5, now_ms=home.device.now_ms):
                assert 0 < hit.score <= 1


def test_search_ranks_labels_bodies_and_energy() -> None:
    """Labels come before bodies, all words before some, the alive before the quiet."""
    with running() as home:
        home.write(
            PutNode("body", "other"),
            PutBody("body", "red wren <b>"),
            PutNode("both", "red wren"),
            PutNode("one", "wren", "bird"),
            PutNode("two", "wren", "bird"),
            PutNode("gone", "red wren"),
            DeleteNode("gone"),
            Pulse("two", 5),
        )

        hits = home.reader.search("red wren", limit=9, now_ms=home.device.now_ms)
        strict = home.reader.search(
            "red wren", limit=9, now_ms=home.device.now_ms, all_words=True
        )
        birds = home.reader.search(
            "Wre", limit=9, now_ms=home.device.now_ms, node_type="bird"
        )

        assert [hit.node.key for hit in strict] == ["both", "body"]
        assert [hit.node.key for hit in hits] == ["both", "two", "one", "body"]
        assert hits[0].highlight == "<mark>red</mark> <mark>wren</mark>"
        assert hits[3].highlight == "<mark>red</mark> <mark>wren</mark> &lt;b&gt;"
        assert [hit.node.key for hit in birds] == ["two", "one"]
        assert home.reader.search('"*(', limit=9, now_ms=0) == []

        home.write(PutBody("body", ""), PutNode("both", "else"))
        left = home.reader.search("red wren", limit=9, now_ms=home.device.now_ms)
        assert [hit.node.key for hit in left] == ["two", "one"]


def test_what_does_not_show_is_not_found() -> None:
    """Absent, hidden and deleted things are refused by every read."""
    with running() as home:
        home.write(*(PutNode(key, key) for key in "abc"))
        home.write(PutEdge("a", "b"), PutEdge("b", "c"), PutBody("b", "text"))
        hidden = edge_id(NodeKey("a"), "child", NodeKey("b"))
        deleted = edge_id(NodeKey("b"), "child", NodeKey("c"))
        reader = home.reader
        assert [n.key for n, _ in reader.neighbours("a", limit=9, depth=2)] == [
            "b",
            "c",
        ]
        path = reader.path("a", "c", home.device.now_ms, None)
        assert path is not None
        assert [node.key for node in path[0]] == ["a", "b", "c"]

        home.write(DeleteEdge(deleted))
        assert reader.path("a", "c", home.device.now_ms, None) is None
        home.write(DeleteNode("b"))

        assert reader.neighbours("a", limit=9) == []
        assert reader.atp("absent", home.device.now_ms) == 0
        for key in ("b", "absent", "", "\ud800"):
            for read in (reader.node, reader.body):
                with pytest.raises(NotFoundError):
                    read(key)
            with pytest.raises(NotFoundError):
                reader.neighbours(key, limit=9)
            with pytest.raises(NotFoundError):
                reader.path("a", key, home.device.now_ms, None)
            with pytest.raises(NotFoundError):
                reader.stream(key, since_ms=0, until_ms=1, bucket="raw", limit=9)
        for identity in (hidden, deleted):
            with pytest.raises(NotFoundError):
                reader.edge(identity)


def test_a_stream_tells_the_energy_over_time() -> None:
    """Each pulse is a point; buckets give the mean of theirs at their start."""
    with running() as home:
        home.write(PutNode("a", "a"))
        hour = 3_600_000
        home.device.now_ms = start = home.device.now_ms // hour * hour + hour
        for after in (0, 10, hour):
            home.device.replica.apply([Pulse("a", 1)], start + after)
        until = start + 2 * hour

        def points(
            bucket: Any, since: int = 0, limit: int = 9
        ) -> list[tuple[int, int]]:
            found = home.reader.stream(
                "a", since_ms=since, until_ms=until, bucket=bucket, limit=limit
            )
            assert all(0 < point.attention < 1 for point in found)
            return [(point.time_ms - start, round(point.atp * 10)) for point in found]

        assert points("raw") == [(0, 20), (10, 30), (hour, 40)]
        assert points("raw", since=start + 10) == [(10, 30), (hour, 40)]
        assert points("raw", limit=1) == [(0, 20)]
        assert points("hour") == [(0, 25), (hour, 40)]
