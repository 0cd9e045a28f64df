"""One number that says whether two devices show the same graph.

A multiset hash: the sum modulo 2**512 of a keyed BLAKE2b of every visible element. It
changes with one addition per change, in any order. The key is a secret of the space,
so nobody outside can search for elements that cancel out; a member who could has the
right to change the graph anyway (docs/decisions/digest.md).
"""

import hashlib
from typing import Final

import msgspec

from crdt.ids import NodeKey
from crdt.records import Edge, Node

DIGEST_BYTES: Final = 64
EMPTY: Final = 0
_MODULUS: Final = 1 << (8 * DIGEST_BYTES)
_encode = msgspec.json.Encoder(order="deterministic").encode


def node_element(key: bytes, node: Node) -> int:
    """Return the element of a visible node, without its body and energy."""
    return _element(
        key,
        b"n",
        (
            node.key,
            node.label,
            node.type,
            node.network,
            node.metadata,
            node.created_ms,
            node.updated_ms,
            node.version,
        ),
    )


def edge_element(key: bytes, edge: Edge) -> int:
    """Return the element of an edge whose two ends are visible."""
    return _element(
        key, b"e", (edge.id, edge.weight, edge.metadata, edge.created_ms, edge.version)
    )


def body_element(key: bytes, node: NodeKey, text_hash: bytes) -> int:
    """Return the element of a visible node's body, from the SHA-256 of its text."""
    return _element(key, b"b", (node, text_hash))


def combined(digest: int, added: int, removed: int) -> int:
    """Return `digest` with the sums of added and removed elements applied."""
    return (digest + added - removed) % _MODULUS


def format_digest(digest: int) -> str:
    """Return the text form: 64 hexadecimal characters over all 512 bits."""
    whole = digest.to_bytes(DIGEST_BYTES)
    return hashlib.blake2b(whole, digest_size=32).hexdigest()


def _element(key: bytes, kind: bytes, fields: tuple[object, ...]) -> int:
    hashed = hashlib.blake2b(
        _encode(fields), key=key, person=kind, digest_size=DIGEST_BYTES
    )
    return int.from_bytes(hashed.digest())
