"""The two things a graph is made of, as everything above the store sees them."""

from typing import Any, TypeAlias

import msgspec

from crdt.ids import EdgeId, NodeKey

Metadata: TypeAlias = dict[str, Any]
"""A JSON object; names hold no control characters."""

DEFAULT_NODE_TYPE = "thought"
DEFAULT_NETWORK = "default"
DEFAULT_EDGE_TYPE = "child"


class Node(msgspec.Struct, frozen=True):
    """One thought as its concurrent edits merge at this moment."""

    key: NodeKey
    label: str
    type: str
    metadata: Metadata
    network: str
    created_ms: int
    """Unix time in milliseconds at which the first of its devices created it."""
    updated_ms: int
    """Unix time in milliseconds of the latest change that is visible."""
    version: int
    """Grows with every change; equal on two devices that show the same node."""
    deleted_ms: int | None = None
    """When it went to the trash, or None: restore brings it back."""
    has_body: bool = False
    """Whether it has a long text; that is a document of its own."""


class Edge(msgspec.Struct, frozen=True):
    """One directed, typed, weighted relation; `(source, type, target)` is identity."""

    id: EdgeId
    source: NodeKey
    target: NodeKey
    type: str
    weight: float
    metadata: Metadata
    created_ms: int
    version: int
    is_deleted: bool = False
