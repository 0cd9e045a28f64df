"""How another device's changes become rows: merge, then read again what moved.

Rule: changes come here parsed, see `crdt.changes`. What a document still refuses
undoes the whole group.
"""

from collections.abc import Iterable, Sequence

import msgspec

from crdt.bodies import body_hash
from crdt.changes import ParsedChange, ParsedShardChange
from crdt.ids import EdgeId, NodeKey, ShardNumber, is_edge_id
from crdt.payload import BodyChange, EnergyChange
from crdt.records import Edge, Node
from crdt.schema import (
    Entries,
    fold_edge,
    fold_node,
)
from crdt.shard_content import AllEntries, ShardContent, shard_content
from crdt.shards import Shards
from crdt.staging import Group
from crdt.yjs_creations import Creations
from crdt.yjs_profile import EDGES, NODES


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
            case EnergyChange(device=device, accumulators=accumulators):
                for key, landmark in accumulators:
                    group.merge_energy(group.mention(key), device, landmark)


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


def _merge_shard(group: Group, shards: Shards, change: ParsedShardChange) -> None:
    number, update = change.change.shard, change.change.update
    creations = change.creations
    if creations is not None:
        if shards.is_next(number, creations.client, creations.clock) and _stage_new(
            group, number, creations
        ):
            shards.append(
                number,
                update,
                creations.client,
                creations.clock,
                len(creations.entries),
            )
            return
        touched: Sequence[tuple[str, str]] = [entry[:2] for entry in creations.entries]
    else:
        touched = change.parsed.touched if change.parsed else ()
    merge_update(group, shards, number, update, touched)


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
    entries: dict[str, dict[str, str]] = {NODES: {}, EDGES: {}}
    for name, key, value in creations.entries:
        entries[name][key] = value
    content = shard_content(entries, number, group.keys.shard_secret)
    known = group.index.keys.number
    nodes = [fold_node(key, found) for key, found in content.nodes.items()]
    edges = [fold_edge(*place, found) for place, found in content.edges.items()]
    if any(map(known, content.nodes)):
        return False
    new_nodes = [node for node in nodes if node is not None]
    new_edges = [edge for edge in edges if edge is not None]
    if len(new_nodes) < len(nodes) or len(new_edges) < len(edges):
        return False
    if any(_is_known(group, edge) for edge in new_edges):
        return False
    for node in new_nodes:
        group.set_node(group.mention(node.key), None, node)
    for edge in new_edges:
        group.add_edge(edge, (group.mention(edge.source), group.mention(edge.target)))
    return True


def _is_known(group: Group, edge: Edge) -> bool:
    """Whether anything of an edge is held."""
    source, target = map(group.index.keys.number, (edge.source, edge.target))
    has_row = source and target and group.index.find_edge(source, edge.type, target)
    return bool(has_row) or edge.id in group.early


def _difference(before: AllEntries, after: AllEntries) -> dict[str, dict[str, str]]:
    """Return the entries that were added, changed or removed."""
    return {name: dict(before[name].items() ^ after[name].items()) for name in before}


def _stage_node(group: Group, key: NodeKey, entries: Entries) -> None:
    number = group.index.keys.number(key)
    is_new = number == 0
    if is_new:
        number = group.mention(key)
    before = None if is_new else group.node(number)
    after = fold_node(key, entries)
    if after is None:
        if before is not None:
            group.unmake_node(number, before)
        return
    has_body = not is_new and bool(body_hash(group.connection, number))
    group.set_node(number, before, _with_body(after, has_body=has_body))


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


def _with_body(node: Node, *, has_body: bool) -> Node:
    return msgspec.structs.replace(node, has_body=True) if has_body else node
