"""What can be asked of a graph: one struct per verb, decodable straight from JSON.

The tags and field names are those of `POST /v1/batch` (the API contract), so a line
of a batch decodes into a command with no step between. Limits on the values are
checked by the replica, which sees every command whatever its way in.
"""

from typing import Any, TypeAlias

import msgspec

from crdt.records import DEFAULT_EDGE_TYPE, DEFAULT_NETWORK, DEFAULT_NODE_TYPE


class Command(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="op",
    kw_only=True,
):
    """Anything that changes a graph."""


class PutNode(Command, frozen=True, tag="put_node"):
    """Create a node, or replace what it holds."""

    key: str
    label: str
    type: str = DEFAULT_NODE_TYPE
    metadata: dict[str, Any] = {}
    network: str = DEFAULT_NETWORK


class AddNode(Command, frozen=True, tag="add_node"):
    """Create a node; one that shows already is left as it is."""

    key: str
    label: str
    type: str = DEFAULT_NODE_TYPE
    metadata: dict[str, Any] = {}
    network: str = DEFAULT_NETWORK


class PatchNode(Command, frozen=True, tag="patch_node"):
    """Change only the fields given; a null in `metadata` removes that name."""

    key: str
    label: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    network: str | msgspec.UnsetType = msgspec.UNSET


class DeleteNode(Command, frozen=True, tag="delete_node"):
    """Hide a node and its edges; it stays in the trash for 30 days."""

    key: str


class RestoreNode(Command, frozen=True, tag="restore_node"):
    """Bring a node back from the trash with all it held."""

    key: str


class PutEdge(Command, frozen=True, tag="put_edge"):
    """Create an edge between two visible nodes, or replace what it holds."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    type: str = DEFAULT_EDGE_TYPE
    weight: float = 1.0
    metadata: dict[str, Any] = {}


class DeleteEdge(Command, frozen=True, tag="delete_edge"):
    """Remove an edge."""

    id: str


class Pulse(Command, frozen=True, tag="pulse"):
    """Add `energy` (not negative) to a node's ATP."""

    key: str
    energy: float = 1.0


class PutBody(Command, frozen=True, tag="put_body"):
    """Replace a node's long text; an empty text removes it."""

    key: str
    text: str


class ImportNode(Command, frozen=True, tag="import_node", kw_only=True):
    """Bring a node in from an export with its times, version and energy kept.

    `accumulators` maps a device id (text form) to its landmark energy, see
    `crdt.energy`; they merge by maximum, so importing twice adds nothing.
    """

    key: str
    label: str
    type: str = DEFAULT_NODE_TYPE
    metadata: dict[str, Any] = {}
    network: str = DEFAULT_NETWORK
    created_ms: int
    updated_ms: int
    version: int = 1
    accumulators: dict[str, float] = {}


class ImportEdge(Command, frozen=True, tag="import_edge", kw_only=True):
    """Bring an edge in from an export with its time and version kept."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    type: str = DEFAULT_EDGE_TYPE
    weight: float = 1.0
    metadata: dict[str, Any] = {}
    created_ms: int
    version: int = 1


class Once(Command, frozen=True, tag="once", kw_only=True):
    """Carry out a command unless this receipt shows that it was carried out before.

    `receipt` and `request` are hashes: of the caller's idempotency key, and of what it
    asked. Never decoded from JSON.
    """

    receipt: bytes
    request: bytes
    command: "AnyCommand"


class EditBody(Command, frozen=True, tag="edit_body", kw_only=True):
    """Merge what Yjs clients did to a node's long text, all of it or nothing.

    It becomes this device's own change. Never decoded from JSON.
    """

    key: str
    updates: tuple[bytes, ...]


AnyCommand: TypeAlias = (
    PutNode
    | AddNode
    | PatchNode
    | DeleteNode
    | RestoreNode
    | PutEdge
    | DeleteEdge
    | Pulse
    | PutBody
    | ImportNode
    | ImportEdge
)

Executable: TypeAlias = AnyCommand | EditBody | Once
"""What the replica carries out; `AnyCommand` of it may come from outside."""
