"""What each command does to a group: checks first, then staging.

Rule: a function here either raises a `RefusedError` with nothing staged, or stages
everything its command means.
"""

from typing import Any

import msgspec

from crdt import checks
from crdt.commands import (
    AddNode,
    DeleteEdge,
    DeleteNode,
    EditBody,
    Executable,
    ImportEdge,
    ImportNode,
    Once,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.errors import ConflictError, InvalidError, NotFoundError, PeerError
from crdt.ids import NodeKey, check_key, edge_id, parse_edge_id
from crdt.payload import BodyChange
from crdt.records import Edge, Metadata, Node
from crdt.schema import next_version
from crdt.staging import Group

TRASH_MS = 30 * 24 * 3600 * 1000
"""How long a deleted node can be restored."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command."""

    key: str
    """Node key or edge id that it was about."""
    is_created: bool = False
    is_changed: bool = True


def execute(group: Group, command: Executable) -> Outcome:
    """Stage one command, or raise a `RefusedError`."""
    match command:
        case Once():
            return _once(group, command)
        case PutNode():
            return _put_node(group, command)
        case AddNode():
            return _add_node(group, command)
        case PutEdge():
            return _put_edge(group, command, group.now_ms)
        case PatchNode():
            return _patch_node(group, command)
        case DeleteNode():
            return _delete_node(group, command)
        case RestoreNode():
            return _restore_node(group, command)
        case DeleteEdge():
            return _delete_edge(group, command)
        case Pulse():
            return _pulse(group, command)
        case PutBody():
            return _put_body(group, command)
        case EditBody():
            return _edit_body(group, command)
        case ImportNode():
            return _import_node(group, command)
        case ImportEdge():
            checks.check_time("created_at", command.created_ms)
            checks.check_version(command.version)
            return _put_edge(group, command, command.created_ms, command.version)


def _once(group: Group, command: Once) -> Outcome:
    row: tuple[Any, ...] | None = group.connection.execute(
        "SELECT request, answer FROM receipt WHERE key = ?", (command.receipt,)
    ).fetchone()
    if row is not None:
        if row[0] != command.request:
            message = (
                "This idempotency key was used for another request; nothing was"
                " changed. Use a new key for a new request."
            )
            raise ConflictError(message)
        return msgspec.msgpack.decode(row[1], type=Outcome)
    outcome = execute(group, command.command)
    group.connection.execute(
        "INSERT INTO receipt (key, request, answer, time_ms) VALUES (?, ?, ?, ?)",
        (
            command.receipt,
            command.request,
            msgspec.msgpack.encode(outcome),
            group.now_ms,
        ),
    )
    return outcome


def _put_node(group: Group, command: PutNode | AddNode) -> Outcome:
    key = _checked_node(command)
    number = group.index.keys.number(key)
    before = group.node(number)
    if before is None:
        now = group.now_ms
        group.create_node(
            Node(
                key,
                command.label,
                command.type,
                command.metadata,
                command.network,
                now,
                now,
                1,
            )
        )
        return Outcome(key, is_created=True)
    return _replace(
        group,
        number,
        before,
        label=command.label,
        type=command.type,
        metadata=command.metadata,
        network=command.network,
    )


def _add_node(group: Group, command: AddNode) -> Outcome:
    if group.is_visible(group.index.keys.number(command.key)):
        return Outcome(command.key, is_changed=False)
    return _put_node(group, command)


def _patch_node(group: Group, command: PatchNode) -> Outcome:
    number, before = _visible(group, command.key)
    metadata = before.metadata
    if command.metadata is not msgspec.UNSET:
        merged = before.metadata | command.metadata
        metadata = {name: value for name, value in merged.items() if value is not None}
    changed = {
        field: value
        for field in ("label", "type", "network")
        if (value := getattr(command, field)) is not msgspec.UNSET
    }
    if "label" in changed:
        checks.check_label(changed["label"])
    for field in changed.keys() - {"label"}:
        checks.check_name(field, changed[field])
    checks.check_metadata(metadata)
    return _replace(group, number, before, metadata=metadata, **changed)


def _delete_node(group: Group, command: DeleteNode) -> Outcome:
    number, before = _visible(group, command.key)
    deleted_ms = max(before.updated_ms, group.now_ms)
    return _replace(group, number, before, deleted_ms=deleted_ms)


def _restore_node(group: Group, command: RestoreNode) -> Outcome:
    number = group.index.keys.number(command.key)
    before = group.node(number)
    if before is None or before.deleted_ms is None:
        message = f"There is no node '{command.key}' in the trash."
        raise NotFoundError(message)
    if group.now_ms - before.deleted_ms > TRASH_MS:
        message = f"The node '{command.key}' was deleted more than 30 days ago."
        raise NotFoundError(message)
    return _replace(group, number, before)


def _put_edge(
    group: Group, command: PutEdge | ImportEdge, created_ms: int, version: int = 1
) -> Outcome:
    source = check_key(command.source, "from")
    target = check_key(command.target, "to")
    checks.check_name("type", command.type)
    weight = checks.checked_weight(command.weight)
    checks.check_metadata(command.metadata)
    ends = group.index.keys.number(source), group.index.keys.number(target)
    for field, key, end in (("from", source, ends[0]), ("to", target, ends[1])):
        if not group.is_visible(end):
            message = f"There is no node '{key}' ({field})."
            raise NotFoundError(message)
    number = group.index.find_edge(ends[0], command.type, ends[1])
    before = group.edge(number)
    if before is None:
        edge = Edge(
            edge_id(source, command.type, target),
            source,
            target,
            command.type,
            weight,
            command.metadata,
            created_ms,
            version,
        )
        group.create_edge(edge, ends)
        return Outcome(edge.id, is_created=True)
    after = msgspec.structs.replace(
        before,
        weight=weight,
        metadata=command.metadata,
        version=next_version(before.version),
        is_deleted=False,
    )
    if _is_same_edge(before, after):
        return Outcome(before.id, is_changed=False)
    group.change_edge(number, before, after)
    return Outcome(before.id, is_created=before.is_deleted)


def _delete_edge(group: Group, command: DeleteEdge) -> Outcome:
    identity = parse_edge_id(command.id)
    number = group.index.edge_number(identity)
    before = group.edge(number)
    if before is None or before.is_deleted or not _shows(group, before):
        message = f"There is no edge '{command.id}'."
        raise NotFoundError(message)
    after = msgspec.structs.replace(
        before, version=next_version(before.version), is_deleted=True
    )
    group.change_edge(number, before, after)
    return Outcome(identity)


def _pulse(group: Group, command: Pulse) -> Outcome:
    checks.check_energy(command.energy)
    number, node = _visible(group, command.key)
    if command.energy == 0:
        return Outcome(node.key, is_changed=False)
    group.pulse(number, node, command.energy)
    return Outcome(node.key)


def _put_body(group: Group, command: PutBody) -> Outcome:
    checks.check_body(command.text)
    number, node = _visible(group, command.key)
    document = group.bodies.load(number)
    if document.text() == command.text:
        return Outcome(node.key, is_changed=False)
    update = document.replace(command.text)
    hashes = group.bodies.save(number, document, update)
    group.changes.append(BodyChange(node.key, update))
    group.set_body(number, command.text, hashes)
    return Outcome(node.key)


def _edit_body(group: Group, command: EditBody) -> Outcome:
    number, node = _visible(group, command.key)
    document = group.bodies.load(number)
    size = len(document.text().encode())
    try:
        news = document.edit(command.updates, group.device_clients)
        if not news:
            return Outcome(node.key, is_changed=False)
        text = document.text()
        if len(text.encode()) > size:
            # What two devices made too long together may be made shorter.
            checks.check_body(text)
        hashes = group.bodies.save(number, document, *news)
    except PeerError as error:
        raise InvalidError("update", str(error)) from None
    group.changes += [BodyChange(node.key, update) for update in news]
    group.set_body(number, text, hashes)
    return Outcome(node.key)


def _import_node(group: Group, command: ImportNode) -> Outcome:
    key = _checked_node(command)
    checks.check_time("created_at", command.created_ms)
    checks.check_time("updated_at", command.updated_ms)
    checks.check_version(command.version)
    accumulators = checks.checked_accumulators(command.accumulators)
    number = group.index.keys.number(key)
    before = group.node(number)
    if before is None:
        node = Node(
            key,
            command.label,
            command.type,
            command.metadata,
            command.network,
            command.created_ms,
            max(command.created_ms, command.updated_ms),
            command.version,
        )
        number = group.create_node(node)
        outcome = Outcome(key, is_created=True)
    else:
        outcome = _replace(
            group,
            number,
            before,
            label=command.label,
            type=command.type,
            metadata=command.metadata,
            network=command.network,
        )
    for (device, half_life), landmark in accumulators.items():
        group.merge_energy(number, device, half_life, landmark)
    return outcome


def _replace(group: Group, number: int, before: Node, **changes: Any) -> Outcome:
    """Stage `before` with changes; whatever was in the trash comes out of it."""
    after = msgspec.structs.replace(
        before,
        updated_ms=max(before.updated_ms, group.now_ms),
        version=next_version(before.version),
        **{"deleted_ms": None, **changes},
    )
    if _is_same_node(before, after):
        return Outcome(before.key, is_changed=False)
    group.change_node(number, before, after)
    return Outcome(before.key, is_created=before.deleted_ms is not None)


def _visible(group: Group, key: str) -> tuple[int, Node]:
    number = group.index.keys.number(key)
    node = group.node(number)
    if node is None or node.deleted_ms is not None:
        message = f"There is no node '{key}'."
        raise NotFoundError(message)
    return number, node


def _shows(group: Group, edge: Edge) -> bool:
    numbers = map(group.index.keys.number, (edge.source, edge.target))
    return all(map(group.is_visible, numbers))


def _checked_node(command: PutNode | AddNode | ImportNode) -> NodeKey:
    key = check_key(command.key)
    checks.check_label(command.label)
    checks.check_name("type", command.type)
    checks.check_name("network", command.network)
    checks.check_metadata(command.metadata)
    return key


def _is_same_node(left: Node, right: Node) -> bool:
    return (
        left.label == right.label
        and left.type == right.type
        and left.network == right.network
        and left.deleted_ms == right.deleted_ms
        and _is_same_metadata(left.metadata, right.metadata)
    )


def _is_same_edge(left: Edge, right: Edge) -> bool:
    return (
        left.weight == right.weight
        and left.is_deleted == right.is_deleted
        and _is_same_metadata(left.metadata, right.metadata)
    )


def _is_same_metadata(left: Metadata, right: Metadata) -> bool:
    """Compare as JSON: 1, 1.0 and true are three values there."""
    return _encode(left) == _encode(right)


_encode = msgspec.json.Encoder(order="deterministic").encode
