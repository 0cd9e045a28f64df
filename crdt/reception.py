"""How another device's changes become rows: parse, merge, read again what moved.

Rule: every change of an envelope is parsed and its owner checked before the first of
them touches a document. What a document still refuses undoes the whole group.
"""

from collections.abc import Sequence

import msgspec

from crdt.bodies import body_hash, load_body, save_body
from crdt.energy import MAX_LANDMARK
from crdt.errors import MalformedError
from crdt.ids import EdgeId, NodeKey, ShardNumber
from crdt.payload import BodyChange, Change, EnergyChange, ShardChange
from crdt.schema import (
    Entries,
    fold_edge,
    fold_node,
)
from crdt.shard_content import AllEntries, shard_content
from crdt.shards import Shards
from crdt.staging import Group
from crdt.yjs_profile import BODY, SHARD
from crdt.yjs_update import check_owner, parse


def merge_changes(
    group: Group, shards: Shards, changes: Sequence[Change], client_id: int
) -> None:
    """Stage changes that a device with this client id made.

    Raises `MalformedError` or `ForgedError`.
    """
    for change in changes:
        match change:
            case ShardChange(update=update):
                check_owner(parse(update, SHARD), (client_id,))
            case BodyChange(update=update):
                # A body is also edited by Yjs clients, each under an id of its own.
                parse(update, BODY)
            case EnergyChange(accumulators=accumulators):
                _check_landmarks(accumulators)
    for change in changes:
        match change:
            case ShardChange(shard=shard, update=update):
                _merge_shard(group, shards, shard, update)
            case BodyChange(node=key, update=update):
                _merge_body(group, key, update)
            case EnergyChange(device=device, accumulators=accumulators):
                for key, landmark in accumulators:
                    group.merge_energy(group.mention(key), device, landmark)
    group.changes = list(changes)


def _check_landmarks(accumulators: Sequence[tuple[NodeKey, float]]) -> None:
    if any(abs(landmark) > MAX_LANDMARK for _, landmark in accumulators):
        message = "An envelope gives a node more energy than any clock could make."
        raise MalformedError(message)


def _merge_shard(
    group: Group, shards: Shards, shard: ShardNumber, update: bytes
) -> None:
    """Merge an update, then stage every node and edge of which an entry moved."""
    document = shards.thaw(shard)
    before = document.entries()
    shards.receive(shard, update)
    after = document.entries()
    content = shard_content(after)
    moved = shard_content(_difference(before, after))
    for key in sorted(moved.nodes):
        _stage_node(group, key, content.nodes[key])
    for source, identity in sorted(moved.edges):
        _stage_edge(group, source, identity, content.edges[source, identity])


def _difference(before: AllEntries, after: AllEntries) -> AllEntries:
    """Return the entries that were added, changed or removed."""
    return {name: dict(before[name].items() ^ after[name].items()) for name in before}


def _stage_node(group: Group, key: NodeKey, entries: Entries) -> None:
    after = fold_node(key, entries)
    if after is None:
        return
    number = group.mention(key)
    before = group.node(number)
    has_body = bool(body_hash(group.connection, number))
    group.set_node(number, before, msgspec.structs.replace(after, has_body=has_body))


def _stage_edge(
    group: Group, source: NodeKey, identity: EdgeId, entries: Entries
) -> None:
    after = fold_edge(source, identity, entries)
    if after is None:
        return
    ends = group.mention(source), group.mention(after.target)
    number = group.index.find_edge(ends[0], after.type, ends[1])
    before = group.edge(number)
    if before is None:
        group.add_edge(after, ends)
    else:
        group.set_edge(number, before, after)


def _merge_body(group: Group, key: NodeKey, update: bytes) -> None:
    number = group.mention(key)
    document = load_body(group.connection, number, group.client_id)
    document.apply(update)
    hashes = save_body(group.connection, number, document, update)
    group.set_body(number, document.text(), hashes)
