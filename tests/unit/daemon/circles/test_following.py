"""Consensus nodes that are kept in the graph."""

from dataclasses import replace
from typing import Any

import msgspec

from crdt.commands import PatchNode
from crdt.ids import CircleId, NodeKey
from crdt.records import Node
from daemon.circles.following import (
    FADED,
    NODE_TYPE,
    Standing,
    follow,
    heir,
    keeping,
    kept,
    kept_key,
)

CIRCLE = CircleId(bytes([9]) * 32)
KEY = bytes([1]) * 32
LATER = bytes([2]) * 32
STANDING = Standing(KEY, "A mill for all", "emerging", 7_432, 3, 5, 1, 0)


def node(**changes: Any) -> Node:
    """Return the node in the graph that keeps `STANDING`."""
    made = keeping(CIRCLE, STANDING)
    kept_node = Node(
        key=NodeKey(made.key),
        label=made.label,
        type=made.type,
        metadata=made.metadata,
        network=made.network,
        created_ms=0,
        updated_ms=0,
        version=1,
    )
    return msgspec.structs.replace(kept_node, **changes)


def patched(before: Node, patch: PatchNode | None) -> Node:
    """Return a node after a patch."""
    assert patch is not None
    metadata = {} if patch.metadata is msgspec.UNSET else patch.metadata
    label = before.label if patch.label is msgspec.UNSET else patch.label
    return msgspec.structs.replace(
        before, label=label, metadata=before.metadata | metadata
    )


def test_a_kept_node_is_known_again() -> None:
    """Whatever device made it, the node says what it keeps, under the same key."""
    found = kept(node())

    assert found is not None
    assert (found.node, found.circle, found.consensus) == (kept_key(KEY), CIRCLE, KEY)


def test_other_nodes_keep_nothing() -> None:
    """Another type, or metadata that a person changed, make no kept node."""
    assert kept(node(type="thought")) is None
    for odd in ({}, {"circle": 7, "consensus": []}, {"circle": "zz", "consensus": ""}):
        assert kept(node(metadata=odd)) is None
        assert follow(node(metadata=odd), {KEY: STANDING}, {}) is None


def test_nothing_follows_from_nothing() -> None:
    """As long as it stands as it stood, there is nothing to write."""
    assert follow(node(), {KEY: STANDING}, {}) is None


def test_a_change_is_followed_once() -> None:
    """Score, counts, votes and label are brought up, and then all is as it should."""
    moved = replace(STANDING, label="The mill", score=8_000, affirm=2, member_count=6)

    after = patched(node(), follow(node(), {KEY: moved}, {}))

    assert (after.key, after.label) == (node().key, "The mill")
    assert after.metadata["resonance_score"] == 0.8
    assert (after.metadata["affirm"], after.metadata["member_count"]) == (2, 6)
    assert follow(after, {KEY: moved}, {}) is None


def test_what_the_person_wrote_stays() -> None:
    """A label that the person changed is not followed any more; the figures are."""
    own = node(label="What I make of it")
    moved = replace(STANDING, label="The mill", score=8_000)

    after = patched(own, follow(own, {KEY: moved}, {}))

    assert after.label == "What I make of it"
    assert after.metadata["resonance_score"] == 0.8


def test_a_new_key_is_followed_by_its_alias() -> None:
    """When another key goes on as this one did, the node in the graph stays itself."""
    moved = replace(STANDING, key=LATER)

    after = patched(node(), follow(node(), {LATER: moved}, {KEY: LATER}))

    assert after.key == kept_key(KEY)
    assert after.metadata["consensus"] == LATER.hex()
    assert follow(after, {LATER: moved}, {KEY: LATER}) is None


def test_what_resonates_no_more_fades() -> None:
    """Without an heir the node stays, and says that it has faded; it may come back."""
    faded = patched(node(), follow(node(), {}, {}))

    assert faded.metadata["status"] == FADED
    assert faded.type == NODE_TYPE
    assert follow(faded, {}, {}) is None
    back = patched(faded, follow(faded, {KEY: STANDING}, {}))
    assert back.metadata["status"] == "emerging"


def test_aliases_in_a_circle_end() -> None:
    """Keys that name each other as heirs lead nowhere, and soon."""
    assert heir(KEY, {}, {KEY: LATER, LATER: KEY}) is None
    assert heir(KEY, {LATER: None}, {KEY: LATER, LATER: KEY}) == LATER
