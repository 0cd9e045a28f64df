"""How another device's changes become rows: parse, merge, read again what moved.

Rule: every change of an envelope is parsed and its owner checked before the first of
them touches a document. What a document still refuses undoes the whole group.
"""

from collections.abc import Sequence

import msgspec

from crdt.bodies import body_hash
from crdt.energy import MAX_LANDMARK
from crdt.errors import MalformedError
from crdt.ids import EdgeId, NodeKey
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
    touched: list[Sequence[tuple[str, str]]] = []
    for change in changes:
        touched.append(())
        match change:
            case ShardChange(update=update):
                parsed = parse(update, SHARD)
                check_owner(parsed, (client_id,))
                touched[-1] = parsed.touched
            case BodyChange(update=update):
                # A body is also edited by Yjs clients, each under an id of its own.
                parse(update, BODY)
            case EnergyChange(accumulators=accumulators):
                _check_landmarks(accumulators)
    for change, keys in zip(changes, touched, strict=True):
        match change:
            case ShardChange():
                _merge_shard(group, shards, change, keys)
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
    group: Group, shards: Shards, change: ShardChange, keys: Sequence[tuple[str, str]]
) -> None:
    """Merge an update, then stage every node and edge of which an entry moved.

    So are those that the update creates under `keys`, even if a creation of this device
    stands: the changes that other devices made to theirs may have come before it.
    """
    document = shards.thaw(change.shard)
    before = document.entries()
    shards.receive(change.shard, change.update)
    after = document.entries()
    place = change.shard, group.keys.shard_secret
    content = shard_content(after, *place)
    different = _difference(before, after)
    for name, key in keys:
        different[name][key] = ""
    moved = shard_content(different, *place)
    for key in sorted(moved.nodes):
        _stage_node(group, key, content.nodes[key])
    for source, identity in sorted(moved.edges):
        _stage_edge(group, source, identity, content.edges[source, identity])


def _difference(before: AllEntries, after: AllEntries) -> dict[str, dict[str, str]]:
    """Return the entries that were added, changed or removed."""
    return {name: dict(before[name].items() ^ after[name].items()) for name in before}


def _stage_node(group: Group, key: NodeKey, entries: Entries) -> None:
    number = group.mention(key)
    before = group.node(number)
    after = fold_node(key, entries)
    if after is None:
        if before is not None:
            group.unmake_node(number, before)
        return
    has_body = bool(body_hash(group.connection, number))
    group.set_node(number, before, msgspec.structs.replace(after, has_body=has_body))


def _stage_edge(
    group: Group, source: NodeKey, identity: EdgeId, entries: Entries
) -> None:
    after = fold_edge(source, identity, entries)
    if after is None:
        number = group.index.edge_number(identity)
        before = group.edge(number)
        if before is not None and not before.is_deleted:
            gone = msgspec.structs.replace(before, is_deleted=True)
            group.set_edge(number, before, gone)
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
    document = group.bodies.load(number)
    document.apply(update)
    hashes = group.bodies.save(number, document, update)
    group.set_body(number, document.text(), hashes)
