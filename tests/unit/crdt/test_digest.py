"""The digest: equal exactly when what shows is equal."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.digest import (
    DIGEST_BYTES,
    EMPTY,
    body_element,
    combined,
    edge_element,
    format_digest,
    node_element,
)
from crdt.ids import EdgeId, NodeKey
from crdt.records import Edge, Node

KEY = b"k" * 32
NODE = Node(NodeKey("a"), "label", "type", {"x": [1, {"b": 1, "a": 2}]}, "net", 5, 6, 7)
EDGE = Edge(EdgeId("e"), NodeKey("a"), NodeKey("b"), "t", 1.0, {"x": 1}, 5, 6)
elements = st.lists(st.integers(0, 2 ** (8 * DIGEST_BYTES) - 1), max_size=8)


@given(elements, st.data())
def test_the_order_of_changes_does_not_matter(
    added: list[int], data: st.DataObject
) -> None:
    """Elements added and taken away in any order leave those that remain."""
    removed = data.draw(st.lists(st.sampled_from(added), unique=True)) if added else []
    steps = [(element, 0) for element in added] + [(0, element) for element in removed]
    digest = EMPTY
    for plus, minus in data.draw(st.permutations(steps)):
        digest = combined(digest, plus, minus)

    assert digest == combined(EMPTY, sum(added), sum(removed))
    assert 0 <= digest < 2 ** (8 * DIGEST_BYTES)
    assert combined(digest, sum(removed), sum(added)) == EMPTY


@pytest.mark.parametrize(
    "change",
    [
        {"key": "b"},
        {"label": "other"},
        {"type": "other"},
        {"network": "other"},
        {"metadata": {}},
        {"metadata": {"x": [1.0, {"b": 1, "a": 2}]}},
        {"metadata": {"x": [True, {"b": 1, "a": 2}]}},
        {"created_ms": 4},
        {"updated_ms": 7},
        {"version": 8},
    ],
)
def test_every_field_of_a_node_counts(change: dict[str, Any]) -> None:
    """A node that shows anything else has another element."""
    other = msgspec.structs.replace(NODE, **change)

    assert node_element(KEY, other) != node_element(KEY, NODE)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "f"},
        {"weight": 1.5},
        {"metadata": {"x": 2}},
        {"created_ms": 4},
        {"version": 8},
    ],
)
def test_every_field_of_an_edge_counts(change: dict[str, Any]) -> None:
    """An edge that shows anything else has another element."""
    other = msgspec.structs.replace(EDGE, **change)

    assert edge_element(KEY, other) != edge_element(KEY, EDGE)


def test_the_order_of_metadata_does_not_count() -> None:
    """Metadata is an object: its names have no order, on any level."""
    other = msgspec.structs.replace(NODE, metadata={"x": [1, {"a": 2, "b": 1}]})

    assert node_element(KEY, other) == node_element(KEY, NODE)


def test_bodies_count_by_node_and_text() -> None:
    """A body's element changes with its node and with its text."""
    one, two = (hashlib.sha256(text).digest() for text in (b"one", b"two"))
    found = {
        body_element(KEY, NodeKey("a"), one),
        body_element(KEY, NodeKey("b"), one),
        body_element(KEY, NodeKey("a"), two),
    }

    assert len(found) == 3


def test_another_key_makes_other_elements() -> None:
    """Whoever lacks the key of the space cannot tell elements."""
    assert node_element(KEY, NODE) != node_element(b"l" * 32, NODE)


@given(elements)
def test_the_text_form_is_short_and_tells_apart(found: list[int]) -> None:
    """Each digest has 64 hexadecimal characters of its own."""
    texts = {format_digest(element) for element in found}

    assert all(len(bytes.fromhex(text)) == 32 for text in texts)
    assert len(texts) == len(set(found))
