"""Entries of a shard: what a change writes is what is read back, everywhere."""

import json
from itertools import islice, permutations
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import NodeKey, edge_id
from crdt.records import Edge, Node
from crdt.schema import (
    MAX_TIME_MS,
    MAX_VERSION,
    Entries,
    edge_changes,
    edge_prefix,
    fold_edge,
    fold_node,
    new_edge_value,
    new_node_entry,
    next_version,
    node_changes,
    node_prefix,
    node_restamp,
)
from crdt.shard_content import split_key
from crdt.yjs_profile import EDGES, NODES
from tests.support.histories import KEYS, keys, metadata

KEY, TARGET = KEYS[0], KEYS[9]
DEEP = "[" * 100_000 + "]" * 100_000
texts = st.text(max_size=5)
times = st.integers(0, MAX_TIME_MS)
versions = st.integers(1, MAX_VERSION - 1)
nodes = st.builds(
    Node,
    key=st.just(KEY),
    label=texts,
    type=texts,
    metadata=metadata,
    network=texts,
    created_ms=times,
    updated_ms=st.just(0),
    version=st.just(1),
).map(lambda node: msgspec.structs.replace(node, updated_ms=node.created_ms))
edges = st.builds(
    Edge,
    id=st.just(edge_id(KEY, "x", TARGET)),
    source=st.just(KEY),
    target=st.just(TARGET),
    type=st.just("x"),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    metadata=metadata,
    created_ms=times,
    version=st.just(1),
)
edits = st.fixed_dictionaries(
    {},
    optional={
        "label": texts,
        "type": texts,
        "network": texts,
        "metadata": metadata,
        "deleted": st.booleans(),
    },
)
edge_edits = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "metadata": metadata,
        "is_deleted": st.booleans(),
    },
)
_hostile_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from((2**53, 10**400, MAX_TIME_MS + 1)),
        st.floats(),
        st.text(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner),
    max_leaves=8,
)
hostile_values = st.one_of(
    st.text(max_size=20),
    st.builds(json.dumps, _hostile_json),
    st.builds(
        lambda *fields: json.dumps(fields),
        st.sampled_from((0, 1, 5, -1, MAX_TIME_MS, 1.5, None)),
        st.sampled_from((0, 1, 2, MAX_VERSION, "label", True)),
        _hostile_json,
    ),
    st.sampled_from((DEEP, f"[0,1,{DEEP}]", f'[0,"","","",{{"a":{DEEP}}}]')),
    st.sampled_from(('["\\ud800"]', "[1e999,1]", "[1,2,-0.0]", "nul")),
)
hostile_entries = st.dictionaries(
    st.sampled_from(
        (
            "",
            "@",
            "@00000001",
            "@\x00",
            "label",
            "type",
            "network",
            "m.",
            "m.a",
            "!",
            "w",
        )
    )
    | texts,
    hostile_values,
    max_size=6,
)


def entries_of(node: Node, client_id: int = 1) -> Entries:
    return dict([new_node_entry(node, client_id)])


def edited(before: Node, edit: dict[str, Any], now_ms: int) -> Node:
    fields = dict(edit)
    updated_ms = max(before.updated_ms, now_ms)
    if "deleted" in fields:
        fields["deleted_ms"] = updated_ms if fields.pop("deleted") else None
    version = next_version(before.version)
    return msgspec.structs.replace(
        before, updated_ms=updated_ms, version=version, **fields
    )


@given(nodes, st.lists(st.tuples(edits, times), max_size=5))
def test_what_a_node_change_writes_is_read_back(
    node: Node, history: list[tuple[dict[str, Any], int]]
) -> None:
    """Base and changes fold into exactly the record that they were computed from."""
    entries = entries_of(node)
    assert fold_node(KEY, entries) == node

    for edit, now_ms in history:
        after = edited(node, edit, now_ms)
        changes = node_changes(node, after)
        if changes:
            entries |= changes
            node = after
        assert fold_node(KEY, entries) == node


@given(nodes, times, versions)
def test_an_import_keeps_its_stamp(node: Node, updated_ms: int, version: int) -> None:
    """A restamped node has the time and version that it was imported with."""
    imported = msgspec.structs.replace(
        node, updated_ms=max(updated_ms, node.created_ms), version=version
    )

    assert fold_node(KEY, entries_of(node) | node_restamp(imported)) == imported


@given(edges, st.lists(st.tuples(edge_edits, times), max_size=5))
def test_what_an_edge_change_writes_is_read_back(
    edge: Edge, history: list[tuple[dict[str, Any], int]]
) -> None:
    """Base and changes fold into exactly the record that they were computed from."""
    entries = {"": new_edge_value(edge)}
    assert fold_edge(KEY, edge.id, entries) == edge

    for edit, now_ms in history:
        version = next_version(edge.version)
        after = msgspec.structs.replace(edge, version=version, **edit)
        changes = edge_changes(edge, after, now_ms)
        if changes:
            entries |= changes
            edge = after
        assert fold_edge(KEY, edge.id, entries) == edge


@given(hostile_entries)
def test_reading_is_total(entries: Entries) -> None:
    """Whatever the entries are, they are a node that can be written, or none."""
    node = fold_node(KEY, entries)

    if node is not None:
        assert 0 <= node.created_ms <= node.updated_ms <= MAX_TIME_MS
        assert 1 <= node.version < MAX_VERSION
        again = entries_of(node) | node_restamp(node)
        if node.deleted_ms is None:
            assert fold_node(KEY, again) == node


@given(hostile_entries, edges)
def test_reading_edges_is_total(entries: Entries, edge: Edge) -> None:
    """Whatever the entries are, they are an edge that can be written, or none."""
    assert fold_edge(KEY, edge.id, entries) is None

    folded = fold_edge(KEY, edge.id, entries | {"": new_edge_value(edge)})

    assert folded is not None
    assert fold_edge(KEY, edge.id, {"": new_edge_value(folded)}) == (
        msgspec.structs.replace(folded, version=1, is_deleted=False)
    )


@given(hostile_entries, edges)
def test_an_edge_is_what_its_id_says(entries: Entries, edge: Edge) -> None:
    """A base whose ends and type do not hash to the id is no base."""
    other = edge_id(TARGET, "x", KEY)

    assert fold_edge(KEY, other, entries | {"": new_edge_value(edge)}) is None


@given(
    hostile_entries,
    st.sampled_from(
        ("", "nul", "{}", "[1]", '["1",1]', "[1,2", "[1.5,1]", "[-1,1]", "[1,-1]")
    )
    | st.just(f"[0,{MAX_VERSION}]"),
)
def test_what_does_not_decode_is_as_if_absent(entries: Entries, junk: str) -> None:
    """An entry that no reader understands changes nothing."""
    without = {key: value for key, value in entries.items() if key != "label"}

    assert fold_node(KEY, without | {"label": junk}) == fold_node(KEY, without)


@given(nodes, nodes)
def test_duplicate_creation_merges(first: Node, second: Node) -> None:
    """Two creations are one node: the later one's fields, all metadata, first time."""
    both = entries_of(first, 1) | entries_of(second, 2)
    later, earlier = (
        (second, first)
        if (first.created_ms, 1) < (second.created_ms, 2)
        else (first, second)
    )

    merged = fold_node(KEY, both)

    assert merged == fold_node(KEY, dict(reversed(both.items())))
    assert merged == Node(
        key=KEY,
        label=later.label,
        type=later.type,
        network=later.network,
        metadata=earlier.metadata | later.metadata,
        created_ms=earlier.created_ms,
        updated_ms=earlier.created_ms,
        version=1,
    )


@given(nodes, texts, texts, metadata, times)
def test_concurrent_edits_of_different_fields_survive(
    node: Node, label: str, network: str, named: dict[str, Any], now_ms: int
) -> None:
    """Edits of label, network and metadata made apart are all there afterwards."""
    merged = entries_of(node)
    for edit in ({"label": label}, {"network": network}, {"metadata": named}):
        merged |= node_changes(node, edited(node, edit, now_ms))

    folded = fold_node(KEY, merged)

    assert folded is not None
    assert (folded.label, folded.network) == (label, network)
    assert folded.metadata == named


@given(nodes, texts, times)
def test_a_delete_wins_and_keeps_the_edit(node: Node, label: str, now_ms: int) -> None:
    """Deleted here and edited there, a node is in the trash; restored, it is edited."""
    deleted = edited(node, {"deleted": True}, now_ms)
    entries = entries_of(node)
    entries |= node_changes(node, edited(node, {"label": label}, now_ms))
    entries |= node_changes(node, deleted)

    trashed = fold_node(KEY, entries)
    assert trashed is not None
    assert trashed.deleted_ms == deleted.deleted_ms

    restored = edited(trashed, {"deleted": False}, now_ms)
    assert fold_node(KEY, entries | node_changes(trashed, restored)) == restored
    assert restored.label == label


@given(nodes, nodes, st.lists(edits, min_size=2, max_size=3))
def test_the_order_of_entries_does_not_matter(
    first: Node, second: Node, history: list[dict[str, Any]]
) -> None:
    """The same entries fold into the same node, whatever order they come in."""
    entries = entries_of(first, 7) | entries_of(second, 3)
    for edit in history:
        entries |= node_changes(first, edited(first, edit, 5))

    folded = fold_node(KEY, entries)
    for order in islice(permutations(entries.items()), 24):
        assert fold_node(KEY, dict(order)) == folded


@given(keys, keys, texts, texts)
def test_keys_split_into_what_they_were_made_of(
    key: NodeKey, target: NodeKey, edge_type: str, suffix: str
) -> None:
    """The parts of a map key come back from it, whatever characters they hold."""
    identity = edge_id(key, edge_type, target)

    if suffix:
        assert split_key(NODES, node_prefix(key) + suffix) == (key, None, suffix)
    assert split_key(EDGES, edge_prefix(key, identity)) == (key, identity, "")
    assert split_key(EDGES, f"{edge_prefix(key, identity)}\x1f{suffix}") == (
        key,
        identity,
        suffix,
    )


@given(st.text(max_size=12) | st.sampled_from(("\x1f", "a\x1f", "\x1fa", "a\x1fx")))
def test_foreign_map_keys_are_told_apart(key: str) -> None:
    """A map key is split into a valid node key and a rest, or refused as foreign."""
    for name in (NODES, EDGES, "x"):
        place = split_key(name, key)
        assert place is None or key.startswith(place[0] + "\x1f")
    assert split_key("x", f"{KEY}\x1fe") is None
    assert split_key(EDGES, f"{KEY}\x1fx") is None


def test_versions_stay_readable() -> None:
    """A version grows until the last one that readers accept, and stays there."""
    assert next_version(1) == 2
    assert next_version(MAX_VERSION - 1) == MAX_VERSION - 1
