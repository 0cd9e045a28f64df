"""Ids, their text forms, and the hashes that place things."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from crdt.ids import (
    MAX_KEY_BYTES,
    SHARD_COUNT,
    NodeKey,
    check_key,
    edge_id,
    format_id,
    key_hash,
    parse_edge_id,
    parse_id,
    shard_of,
    source_hash,
)

keys = st.text(min_size=1, max_size=40).map(NodeKey)


@given(st.binary(min_size=32, max_size=32), st.text(max_size=300).map(NodeKey))
def test_a_shard_is_the_first_twelve_bits_of_an_hmac(
    secret: bytes, key: NodeKey
) -> None:
    """The quick way to the shard agrees with the standard library's HMAC-SHA256."""
    digest = hmac.digest(secret, key.encode(errors="ignore"), "sha256")
    expected = int.from_bytes(digest[:2]) >> 4

    assert expected == shard_of(secret, NodeKey(key.encode(errors="ignore").decode()))
    assert expected < SHARD_COUNT


@given(keys, st.text(max_size=10), keys, keys)
def test_an_edge_id_names_its_three_parts(
    source: NodeKey, kind: str, target: NodeKey, other: NodeKey
) -> None:
    """Another source, type or target is another id, and the id leads to its source."""
    identity = edge_id(source, kind, target)

    assert parse_edge_id(identity) == identity
    assert key_hash(source) == source_hash(identity)
    assert (other == target) == (edge_id(source, kind, other) == identity)
    assert (other == source) == (edge_id(other, kind, target) == identity)
    assert edge_id(source, f"{kind}x", target) != identity


@given(st.text(max_size=30))
def test_what_is_no_edge_id_is_refused(text: str) -> None:
    """Only 24 characters of URL-safe base64 are an edge id."""
    with pytest.raises(InvalidError):
        parse_edge_id(text + "=")


@given(st.binary(min_size=16, max_size=16))
def test_an_id_reads_back_as_it_was_written(identity: bytes) -> None:
    """The text form of a device, person or space id is exact and unique."""
    text = format_id(identity)

    assert identity == parse_id(text)
    assert (len(text), text.lower()) == (26, text)
    with pytest.raises(InvalidError):
        parse_id(f"{text}a")


@pytest.mark.parametrize(
    "text",
    ["", "a\x1fb", "a\nb", "\x7f", "\u2028", "\ud800", "k" * (MAX_KEY_BYTES + 1)],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A key is not empty, not too long, and has no control character."""
    with pytest.raises(InvalidError):
        check_key(text)


def test_a_key_may_be_255_bytes_of_any_language() -> None:
    """The limit counts bytes of UTF-8."""
    assert check_key("é" * 127 + "e") == "é" * 127 + "e"
    with pytest.raises(InvalidError):
        check_key("é" * 128)
