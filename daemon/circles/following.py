"""Consensus nodes that a person keeps in the own graph, and how they are kept up.

A kept consensus node is an ordinary node of type `consensus`; its metadata say of which
circle it is and how it stood when this device looked last. It syncs between the
person's devices as any node does.

Rules of this file:

1. The key in the graph is made when the node is kept and stays, whatever becomes of the
   consensus node: edges to it survive.
2. What the person changed is the person's: a label is followed only as long as it is
   the one that was followed last.
3. What follows is a patch of what differs, nothing if nothing does: two devices that
   see the same state write the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from crdt.commands import AddNode, PatchNode
from crdt.ids import CircleId, NodeKey
from crdt.records import Node

NODE_TYPE: Final = "consensus"
EDGE_TYPE: Final = "resonates"
"""Of the edge from a thought to a consensus node that it is linked with."""
FADED: Final = "faded"
"""Status of a node that resonates no more with enough people."""
_KEY_BYTES: Final = 16
_CIRCLE: Final = "circle"
_CONSENSUS: Final = "consensus"
_LABEL: Final = "label"
_STATUS: Final = "status"
_MOST_HEIRS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a consensus node stands, as it is shown."""

    key: bytes
    label: str
    status: str
    score: int
    """Resonance, in basis points."""
    contributor_count: int
    member_count: int
    affirm: int
    dissent: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A consensus node in the person's graph."""

    node: NodeKey
    circle: CircleId
    consensus: bytes
    """The key by which it was known last."""


def kept_key(consensus: bytes) -> NodeKey:
    """Return the key in the graph of a consensus node: equal on all devices."""
    return NodeKey(f"consensus-{consensus[:_KEY_BYTES].hex()}")


def keeping(circle: CircleId, standing: Standing) -> AddNode:
    """Return what brings a consensus node into the graph."""
    return AddNode(
        key=kept_key(standing.key),
        label=standing.label,
        type=NODE_TYPE,
        metadata={_CIRCLE: circle.hex(), **_metadata(standing)},
    )


def kept(node: Node) -> Kept | None:
    """Return what a node of the graph keeps, None if it is of another kind."""
    if node.type != NODE_TYPE:
        return None
    circle = _hash_of(node.metadata.get(_CIRCLE))
    consensus = _hash_of(node.metadata.get(_CONSENSUS))
    if circle is None or consensus is None:
        return None
    return Kept(node.key, CircleId(circle), consensus)


def heir(
    consensus: bytes, present: Mapping[bytes, object], aliases: Mapping[bytes, bytes]
) -> bytes | None:
    """Return the key of the present node that goes on as an earlier one did.

    None if there is none: then it is faded.
    """
    key: bytes | None = consensus
    for _ in range(_MOST_HEIRS):
        if key is None or key in present:
            return key
        key = aliases.get(key)
    return None


def follow(
    node: Node, present: Mapping[bytes, Standing], aliases: Mapping[bytes, bytes]
) -> PatchNode | None:
    """Return what a kept node has to become, None if it is so already."""
    known = kept(node)
    if known is None:
        return None
    key = heir(known.consensus, present, aliases)
    if key is None:
        return _patch(node, None, {_STATUS: FADED})
    standing = present[key]
    was_followed = node.label == node.metadata.get(_LABEL)
    return _patch(node, standing.label if was_followed else None, _metadata(standing))


def _metadata(standing: Standing) -> dict[str, Any]:
    return {
        _CONSENSUS: standing.key.hex(),
        _LABEL: standing.label,
        _STATUS: standing.status,
        "resonance_score": standing.score / 10_000,
        "contributor_count": standing.contributor_count,
        "member_count": standing.member_count,
        "affirm": standing.affirm,
        "dissent": standing.dissent,
    }


def _patch(node: Node, label: str | None, wanted: dict[str, Any]) -> PatchNode | None:
    changed = {
        name: value
        for name, value in wanted.items()
        if node.metadata.get(name) != value
    }
    is_new_label = label is not None and label != node.label
    if not changed and not is_new_label:
        return None
    return PatchNode(
        key=node.key,
        label=label if label is not None and is_new_label else msgspec.UNSET,
        metadata=changed or msgspec.UNSET,
    )


def _hash_of(text: object) -> bytes | None:
    """Return the 32 bytes that a text of metadata stands for."""
    if not isinstance(text, str):
        return None
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return found if len(found) == 32 else None
