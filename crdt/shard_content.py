"""A shard's entries, put together by the node or edge that they belong to."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from crdt.ids import EdgeId, NodeKey
from crdt.schema import Entries, split_key

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


def shard_content(entries: AllEntries) -> ShardContent:
    """Sort a shard's entries; foreign ones are left out."""
    content = ShardContent()
    for name, by_key in entries.items():
        for map_key, value in by_key.items():
            place = split_key(name, map_key)
            if place is None:
                continue
            key, identity, suffix = place
            if identity is None:
                content.nodes[key][suffix] = value
            else:
                content.edges[key, identity][suffix] = value
    return content
