"""How nodes and edges stand in a shard's two maps, and how entries merge into them.

Rules of this file:
1. A value is a JSON array in a string: cheap in memory, exact for integers, and no
   nesting for a Yjs client to trip over.
2. Reading is total and the same on every device: an entry that does not decode is as
   if absent, whoever wrote it.
3. What a change writes, `fold_node` and `fold_edge` read back as exactly the record
   that the change was computed from.

Map `n`, per node:   KEY 0x1F @CLIENT    base, one per creating device, never rewritten
                     KEY 0x1F FIELD      one changed field: label, type, network
                     KEY 0x1F m.NAME     one metadata name
                     KEY 0x1F !          tombstone
Map `e`, per edge:   SOURCE 0x1F eID [0x1F w | m.NAME | !]

A base is [created ms, ...fields]; everything else is [ms, version, value], and a
metadata name without the value is removed. Specification: docs/protocol/shard.md.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from crdt.errors import InvalidError
from crdt.ids import MAX_LABEL_BYTES, EdgeId, NodeKey, check_key, edge_id
from crdt.json_text import is_shallow
from crdt.records import (
    DEFAULT_EDGE_TYPE,
    DEFAULT_NETWORK,
    DEFAULT_NODE_TYPE,
    Edge,
    Metadata,
    Node,
)

SEPARATOR: Final = "\x1f"
_METADATA: Final = "m."
_TOMBSTONE: Final = "!"
_WEIGHT: Final = "w"
MAX_TIME_MS: Final = 253_402_300_799_999
"""The end of the year 9999: the last instant RFC 3339 can write."""
MAX_VERSION: Final = 2**53
"""Beyond it JavaScript clients could not count on."""

Entries: TypeAlias = dict[str, str]
"""Map key suffixes (what follows the node's or edge's own part) to values."""


class _NodeBase(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    created_ms: int
    label: str
    type: str = DEFAULT_NODE_TYPE
    network: str = DEFAULT_NETWORK
    metadata: Metadata = {}


class _EdgeBase(msgspec.Struct, array_like=True, frozen=True):
    created_ms: int
    target: str
    type: str = DEFAULT_EDGE_TYPE
    weight: float = 1.0
    metadata: Metadata = {}


class _Stamped(msgspec.Struct, array_like=True, frozen=True):
    time_ms: int
    version: int
    value: Any = msgspec.UNSET


_encode = msgspec.json.Encoder().encode
_decode_node = msgspec.json.Decoder(_NodeBase, strict=True).decode
_decode_edge = msgspec.json.Decoder(_EdgeBase, strict=True).decode
_decode_stamped = msgspec.json.Decoder(_Stamped, strict=True).decode
_Decoded = TypeVar("_Decoded")


def next_version(version: int) -> int:
    """Return the version after this one; the last that readers accept stays."""
    return min(version + 1, MAX_VERSION - 1)


def node_prefix(key: NodeKey) -> str:
    """Return what every entry of a node in map `n` starts with."""
    return key + SEPARATOR


def edge_prefix(source: NodeKey, identity: EdgeId) -> str:
    """Return the map key of an edge in map `e`; its overlays add a separator."""
    return f"{source}{SEPARATOR}e{identity}"


def new_node_entry(node: Node, client_id: int) -> tuple[str, str]:
    """Return the suffix and value of a new node's base."""
    base = _NodeBase(
        node.created_ms, node.label, node.type, node.network, node.metadata
    )
    return f"@{client_id:08x}", _encode(base).decode()


def new_edge_value(edge: Edge) -> str:
    """Return the value of a new edge's base."""
    base = _EdgeBase(
        edge.created_ms, edge.target, edge.type, edge.weight, edge.metadata
    )
    return _encode(base).decode()


def node_changes(before: Node, after: Node) -> Entries:
    """Return the entries that turn `before` into `after`, stamped as `after` is."""
    stamp = (after.updated_ms, after.version)
    entries = {
        field: _stamped(*stamp, new)
        for field, old, new in (
            ("label", before.label, after.label),
            ("type", before.type, after.type),
            ("network", before.network, after.network),
        )
        if old != new
    }
    entries |= _metadata_changes(before.metadata, after.metadata, stamp)
    if before.deleted_ms != after.deleted_ms:
        is_deleted = after.deleted_ms is not None
        time_ms = after.deleted_ms if after.deleted_ms is not None else stamp[0]
        entries[_TOMBSTONE] = _stamped(time_ms, after.version, is_deleted)
    return entries


def node_restamp(node: Node) -> Entries:
    """Return entries that carry only the time and version of an imported node."""
    return {"label": _stamped(node.updated_ms, node.version, node.label)}


def edge_restamp(edge: Edge) -> Entries:
    """Return entries that carry only the version of an imported edge."""
    return {_WEIGHT: _stamped(edge.created_ms, edge.version, edge.weight)}


def edge_changes(before: Edge, after: Edge, now_ms: int) -> Entries:
    """Return the entries that turn `before` into `after`, stamped with `now_ms`."""
    stamp = (now_ms, after.version)
    entries = _metadata_changes(before.metadata, after.metadata, stamp)
    if before.weight != after.weight:
        entries[_WEIGHT] = _stamped(*stamp, after.weight)
    if before.is_deleted != after.is_deleted:
        entries[_TOMBSTONE] = _stamped(*stamp, after.is_deleted)
    return entries


def fold_node(key: NodeKey, entries: Mapping[str, str]) -> Node | None:
    """Merge a node's entries into what it is now, or None if it has no base.

    Bases merge in the order (created, device), so the later one wins field by field
    and metadata of all is united; overlays win over every base.
    """
    if len(entries) == 1:
        return _fold_lone_base(key, entries)
    bases: list[tuple[int, str, _NodeBase]] = []
    overlays: dict[str, _Stamped] = {}
    for suffix, value in entries.items():
        if suffix.startswith("@"):
            base = _decoded(_decode_node, value)
            if base is not None and _is_sound(base.created_ms, base.label):
                bases.append((base.created_ms, suffix, base))
        elif (overlay := _overlay(value)) is not None:
            overlays[suffix] = overlay
    if not bases:
        return None
    bases.sort(key=lambda item: item[:2])
    newest = bases[-1][2]
    metadata: Metadata = {}
    for _, _, base in bases:
        metadata |= base.metadata
    deleted_ms: int | None = None
    fields = {"label": newest.label, "type": newest.type, "network": newest.network}
    for suffix, overlay in overlays.items():
        if suffix in fields and _is_sound(overlay.time_ms, overlay.value):
            fields[suffix] = overlay.value
        elif suffix == _TOMBSTONE and overlay.value is True:
            deleted_ms = overlay.time_ms
    return Node(
        key=key,
        label=fields["label"],
        type=fields["type"],
        network=fields["network"],
        metadata=_fold_metadata(metadata, overlays),
        created_ms=bases[0][0],
        updated_ms=max(bases[0][0], *(o.time_ms for o in overlays.values()), 0),
        version=max(1, *(o.version for o in overlays.values()), 0),
        deleted_ms=deleted_ms,
    )


def _fold_lone_base(key: NodeKey, entries: Mapping[str, str]) -> Node | None:
    """Return what `fold_node` does of one entry, as most nodes have, but quicker."""
    ((suffix, value),) = entries.items()
    base = _decoded(_decode_node, value) if suffix.startswith("@") else None
    if base is None or not _is_sound(base.created_ms, base.label):
        return None
    created_ms = base.created_ms
    return Node(
        key,
        base.label,
        base.type,
        base.metadata,
        base.network,
        created_ms,
        created_ms,
        1,
    )


def fold_edge(
    source: NodeKey, identity: EdgeId, entries: Mapping[str, str]
) -> Edge | None:
    """Merge an edge's entries into what it is now, or None if it has no base.

    A base whose target and type do not hash to `identity` is no base.
    """
    base = _decoded(_decode_edge, entries.get("", ""))
    if base is None or not _is_sound(base.created_ms, base.type):
        return None
    try:
        target = check_key(base.target)
    except InvalidError:
        return None
    if edge_id(source, base.type, target) != identity:
        return None
    if len(entries) == 1:
        weight, created_ms = _weight(base.weight, 1.0), base.created_ms
        return Edge(
            identity, source, target, base.type, weight, base.metadata, created_ms, 1
        )
    overlays = {
        suffix: overlay
        for suffix, value in entries.items()
        if suffix and (overlay := _overlay(value)) is not None
    }
    weight = _weight(base.weight, 1.0)
    if _WEIGHT in overlays:
        weight = _weight(overlays[_WEIGHT].value, weight)
    return Edge(
        id=identity,
        source=source,
        target=target,
        type=base.type,
        weight=weight,
        metadata=_fold_metadata(base.metadata, overlays),
        created_ms=base.created_ms,
        version=max(1, *(o.version for o in overlays.values()), 0),
        is_deleted=_TOMBSTONE in overlays and overlays[_TOMBSTONE].value is True,
    )


def _decoded(decode: Callable[[str], _Decoded], value: str) -> _Decoded | None:
    if not is_shallow(value):
        return None
    try:
        return decode(value)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _overlay(value: str) -> _Stamped | None:
    overlay = _decoded(_decode_stamped, value)
    if overlay is None or not _is_sound(overlay.time_ms, ""):
        return None
    return overlay if 0 <= overlay.version < MAX_VERSION else None


def _is_sound(time_ms: int, text: object) -> bool:
    return (
        0 <= time_ms <= MAX_TIME_MS
        and isinstance(text, str)
        and len(text.encode(errors="replace")) <= MAX_LABEL_BYTES
    )


def _weight(value: object, otherwise: float) -> float:
    """Return a weight as the read model gives it back: SQLite knows no -0.0."""
    try:
        return float(value) + 0.0 if isinstance(value, int | float) else otherwise
    except OverflowError:
        return otherwise


def _stamped(time_ms: int, version: int, value: Any) -> str:
    return _encode((time_ms, version, value)).decode()


def _metadata_changes(
    before: Metadata, after: Metadata, stamp: tuple[int, int]
) -> Entries:
    changed = {
        _METADATA + name: _stamped(*stamp, value)
        for name, value in after.items()
        if name not in before or _encode(before[name]) != _encode(value)
    }
    removed = {
        _METADATA + name: _encode(stamp).decode()
        for name in before
        if name not in after
    }
    return changed | removed


def _fold_metadata(base: Metadata, overlays: Mapping[str, _Stamped]) -> Metadata:
    metadata = dict(base)
    for suffix, overlay in overlays.items():
        if not suffix.startswith(_METADATA):
            continue
        name = suffix.removeprefix(_METADATA)
        if overlay.value is msgspec.UNSET:
            metadata.pop(name, None)
        else:
            metadata[name] = overlay.value
    return metadata
