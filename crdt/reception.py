"""How another device's changes become rows: merge, then read again what moved.

Rule: changes come here parsed, see `crdt.changes`. What a document still refuses
undoes the whole group.
"""

from collections.abc import Iterable, Sequence

import msgspec

from crdt.changes import ParsedChange, ParsedShardChange
from crdt.ids import EdgeId, NodeKey, ShardNumber, is_edge_id
from crdt.payload import AnyEnergyChange, BodyChange, EnergyChange, PacedEnergyChange
from crdt.records import Edge
from crdt.schema import (
    Entries,
    fold_edge,
    fold_node,
)
from crdt.shard_content import AllEntries, ShardContent, shard_content
from crdt.shards import Shards
from crdt.staging import Group
from crdt.yjs_creations import Creations


def merge_changes(
    group: Group, shards: Shards, changes: Iterable[ParsedChange]
) -> None:
    """Stage what one envelope carries. Raises `MalformedError`."""
    for change in changes:
        match change:
            case ParsedShardChange():
                _merge_shard(group, shards, change)
                group.changes.append(change.change)
            case BodyChange(node=key, update=update):
                merge_body(group, key, update)
            case EnergyChange() | PacedEnergyChange():
                merge_energies(group, change)


def stage_content(
    group: Group,
    content: ShardContent,
    moved: ShardContent,
) -> None:
    """Stage every node and edge of a shard of which an entry moved."""
    for key in sorted(moved.nodes):
        _stage_node(group, key, content.nodes[key])
    for source, identity in sorted(moved.edges):
        _stage_edge(group, source, identity, content.edges[source, identity])


def merge_body(group: Group, key: NodeKey, update: bytes) -> None:
    """Stage a change of a body. Raises `MalformedError`."""
    number = group.mention(key)
    document = group.bodies.load(number)
    document.apply(update)
    hashes = group.bodies.save(number, document, update)
    group.set_body(number, document.text(), hashes)


def merge_energies(group: Group, change: AnyEnergyChange) -> None:
    """Stage accumulators of a device."""
    for key, landmark in change.accumulators:
        number = group.mention(key)
        group.merge_energy(number, change.device, change.half_life, landmark)


def _merge_shard(group: Group, shards: Shards, change: ParsedShardChange) -> None:
    number, update = change.change.shard, change.change.update
    made = change.creations
    if (
        made is not None
        and shards.is_next(number, made.client, made.clock)
        and _stage_new(group, number, made)
    ):
        shards.append(number, update, made)
    else:
        merge_update(group, shards, number, update, change.touched)


def merge_update(
    group: Group,
    shards: Shards,
    number: ShardNumber,
    update: bytes,
    touched: Sequence[tuple[str, str]],
) -> None:
    """Merge an update, then stage every node and edge of which an entry moved.

    So are those that the update creates, `touched`, even if a creation of this device
    stands: the changes that other devices made to theirs may have come before it.
    """
    document = shards.thaw(number)
    before = document.entries()
    shards.receive(number, update)
    after = document.entries()
    place = number, group.keys.shard_secret
    different = _difference(before, after)
    for name, key in touched:
        different[name][key] = ""
    stage_content(group, shard_content(after, *place), shard_content(different, *place))


def _stage_new(group: Group, number: ShardNumber, creations: Creations) -> bool:
    """Stage creations if nobody holds anything of what they create, else do nothing.

    Then they are all that there is of it, and no document has to be asked.
    """
    content = shard_content(creations.by_map(), number, group.keys.shard_secret)
    if any(map(group.index.keys.number, content.nodes)):
        return False
    nodes = [fold_node(key, found) for key, found in content.nodes.items()]
    edges = [fold_edge(*place, found) for place, found in content.edges.items()]
    if None in nodes or None in edges or any(_is_known(group, each) for each in edges):
        return False
    for node in nodes:
        if node is not None:
            group.set_node(group.mention(node.key), None, node)
    for edge in edges:
        if edge is not None:
            ends = group.mention(edge.source), group.mention(edge.target)
            group.add_edge(edge, ends)
    return True


def _is_known(group: Group, edge: Edge | None) -> bool:
    """Whether anything of an edge is held."""
    if edge is None or edge.id in group.early:
        return True
    source = group.index.keys.number(edge.source)
    target = group.index.keys.number(edge.target) if source else 0
    return bool(target and group.index.find_edge(source, edge.type, target))


def _difference(before: AllEntries, after: AllEntries) -> dict[str, dict[str, str]]:
    """Return the entries that were added, changed or removed."""
    return {name: dict(before[name].items() ^ after[name].items()) for name in before}


def _stage_node(group: Group, key: NodeKey, entries: Entries) -> None:
    number = group.mention(key)
    before = group.node(number)
    after = fold_node(key, entries)
    if after is not None:
        if group.has_body(number):
            after = msgspec.structs.replace(after, has_body=True)
        group.set_node(number, before, after)
    elif before is not None:
        group.unmake_node(number, before)


def _stage_edge(
    group: Group, source: NodeKey, identity: EdgeId, entries: Entries
) -> None:
    after = fold_edge(source, identity, entries)
    if after is None:
        if not is_edge_id(identity):
            return  # no edge can ever have it
        number = group.index.edge_number(identity)
        before = group.edge(number)
        if before is None:
            group.early.add(identity)
        elif not before.is_deleted:
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
