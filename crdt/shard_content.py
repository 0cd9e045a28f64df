"""A shard's entries, put together by the node or edge that they belong to."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from crdt.errors import InvalidError
from crdt.ids import EdgeId, NodeKey, ShardNumber, check_key, shard_of
from crdt.schema import SEPARATOR, Entries
from crdt.yjs_profile import EDGES, NODES

AllEntries: TypeAlias = Mapping[str, Mapping[str, str]]
"""Values of a whole shard by map and key."""
EdgePlace: TypeAlias = tuple[NodeKey, EdgeId]
"""(source, edge id)."""


@dataclass(frozen=True, slots=True)
class ShardContent:
    """Entries by suffix, per node and per edge."""

    nodes: defaultdict[NodeKey, Entries] = field(
        default_factory=lambda: defaultdict(dict)
    )
    edges: defaultdict[EdgePlace, Entries] = field(
        default_factory=lambda: defaultdict(dict)
    )


def shard_content(
    entries: AllEntries, shard: ShardNumber, shard_secret: bytes
) -> ShardContent:
    """Sort a shard's entries; those that have no place in it are left out."""
    content = ShardContent()
    is_here: dict[NodeKey, bool] = {}
    for name, by_key in entries.items():
        for map_key, value in by_key.items():
            place = split_key(name, map_key)
            if place is None:
                continue
            key, identity, suffix = place
            if key not in is_here:
                is_here[key] = shard_of(shard_secret, key) == shard
            if not is_here[key]:
                continue
            if identity is None:
                content.nodes[key][suffix] = value
            else:
                content.edges[key, identity][suffix] = value
    return content


def split_key(map_name: str, key: str) -> tuple[NodeKey, EdgeId | None, str] | None:
    """Return (node key, edge id or None, suffix) of a map key, or None if foreign.

    The suffix of an edge's base is empty.
    """
    name, separator, rest = key.partition(SEPARATOR)
    if not separator or not rest:
        return None
    try:
        node_key = check_key(name)
    except InvalidError:
        return None
    if map_name == NODES:
        return node_key, None, rest
    identity, _, suffix = rest.partition(SEPARATOR)
    if map_name != EDGES or not identity.startswith("e"):
        return None
    return node_key, EdgeId(identity[1:]), suffix
