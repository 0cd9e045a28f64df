"""The documents of the API as typed structs; the OpenAPI schemas come from these."""

from typing import Annotated, Any, Literal

import msgspec

from crdt.records import DEFAULT_EDGE_TYPE, DEFAULT_NETWORK, DEFAULT_NODE_TYPE, Edge
from crdt.records import Node as NodeRecord
from daemon.interchange.timestamps import format_time

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
DEFAULT_LIMIT = 50


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends; a field it does not know is a mistake worth telling."""


class NodeContent(Request, frozen=True):
    """A whole node, to create or replace."""

    label: str
    type: str = DEFAULT_NODE_TYPE
    metadata: dict[str, Any] = {}
    network: str = DEFAULT_NETWORK


class NodePatch(Request, frozen=True):
    """The fields of a node to change; null in `metadata` removes a name."""

    label: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    network: str | msgspec.UnsetType = msgspec.UNSET


class EdgeContent(Request, frozen=True):
    """A whole edge, to create or replace."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    type: str = DEFAULT_EDGE_TYPE
    weight: float = 1.0
    metadata: dict[str, Any] = {}


class PulseContent(Request, frozen=True):
    """Energy to give to a node, in ATP."""

    energy: float = 1.0


class NoQuery(Request, frozen=True):
    """Any route on a space."""

    space: str | None = None


class TicketQuery(Request, frozen=True):
    """For clients that can send no header: a ticket in place of the token."""

    ticket: str | None = None
    space: str | None = None


class NodesQuery(Request, frozen=True):
    """Which nodes to list."""

    type: str | None = None
    prefix: str = ""
    updated_since: str | None = None
    trash: bool = False
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    network: str | None = None
    space: str | None = None


class EdgesQuery(Request, frozen=True):
    """Which edges to list."""

    source: str | None = msgspec.field(default=None, name="from")
    target: str | None = msgspec.field(default=None, name="to")
    type: str | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    space: str | None = None


class NeighboursQuery(Request, frozen=True):
    """How far and which way to walk."""

    depth: Annotated[int, msgspec.Meta(ge=1, le=6)] = 1
    direction: Literal["in", "out", "both"] = "both"
    type: str | None = None
    limit: Limit = DEFAULT_LIMIT
    order: Literal["distance", "energy"] = "distance"
    network: str | None = None
    space: str | None = None


class PathQuery(Request, frozen=True):
    """From where to where."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    max_cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    network: str | None = None
    space: str | None = None


class SearchQuery(Request, frozen=True):
    """What to look for, by its words, its meaning or both."""

    q: Annotated[str, msgspec.Meta(max_length=1000)]
    mode: Literal["hybrid", "text", "vector"] = "hybrid"
    type: str | None = None
    limit: Limit = 20
    network: str | None = None
    space: str | None = None


class ResonantQuery(Request, frozen=True):
    """How near in meaning, and how many."""

    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    limit: Limit = 20
    network: str | None = None
    space: str | None = None


class PatternsQuery(Request, frozen=True):
    """How long a time is looked at, in hours or days."""

    window: Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,2}[hd]$")] = "7d"
    limit: Limit = DEFAULT_LIMIT
    space: str | None = None


class StreamQuery(Request, frozen=True):
    """Which part of a node's history, in which steps."""

    since: str | None = None
    until: str | None = None
    bucket: Literal["raw", "hour", "day"] = "raw"
    limit: Limit = 1000
    space: str | None = None


class DaysQuery(Request, frozen=True):
    """Which part of a network's history."""

    since: str | None = None
    until: str | None = None
    limit: Limit = 1000
    space: str | None = None


class FormatQuery(Request, frozen=True):
    """Which file format."""

    format: Literal["jsonl", "graphml", "markdown"] = "jsonl"
    space: str | None = None


class Energy(msgspec.Struct, frozen=True):
    """How alive a node is."""

    atp: float


class Replication(msgspec.Struct, frozen=True):
    """On how many devices the newest change is durable."""

    safe_on: int = 1
    pending: bool = False


class NodeDocument(msgspec.Struct, frozen=True):
    """A node as the API shows it."""

    key: str
    label: str
    type: str
    metadata: dict[str, Any]
    network: str
    energy: Energy
    created_at: str
    updated_at: str
    version: int
    sync: Replication
    consensus: list[str]
    """Keys of the consensus nodes that it is part of or linked with, as last seen."""
    body: bool
    deleted_at: str | msgspec.UnsetType = msgspec.UNSET
    """Only for a node in the trash."""


class EdgeDocument(msgspec.Struct, frozen=True):
    """An edge as the API shows it."""

    id: str
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    type: str
    weight: float
    metadata: dict[str, Any]
    created_at: str


class NodeList(msgspec.Struct, frozen=True):
    """A page of nodes."""

    items: list[NodeDocument]
    next: str | None


class EdgeList(msgspec.Struct, frozen=True):
    """A page of edges."""

    items: list[EdgeDocument]
    next: str | None


class Neighbour(msgspec.Struct, frozen=True):
    """A node and how many steps away it is."""

    node: NodeDocument
    distance: int
    score: float | msgspec.UnsetType = msgspec.UNSET
    """By energy: its ATP times the strength of its link."""


class NeighbourList(msgspec.Struct, frozen=True):
    """Nodes near a node, the nearest or the most energetic first."""

    items: list[Neighbour]
    next: str | None
    complete: bool = True
    """By energy: whether all nodes in reach were looked at."""


class PathDocument(msgspec.Struct, frozen=True):
    """The cheapest way between two nodes."""

    nodes: list[NodeDocument]
    cost: float


class SearchHit(msgspec.Struct, frozen=True):
    """A node that a search found."""

    node: NodeDocument
    score: float
    resonance: float | None
    """Closeness of meaning, 0 to 1; null while embeddings are off."""
    highlight: str | None
    """HTML with the words found in `mark` elements."""


class Resonance(msgspec.Struct, frozen=True):
    """A node and how near in meaning it is."""

    node: NodeDocument
    resonance: float
    """0 to 1."""


class PatternDocument(msgspec.Struct, frozen=True):
    """A node that rises, falls or bursts, with the figures behind that."""

    node: NodeDocument
    pattern: Literal["rising", "falling", "burst"]
    since: str
    """When the window began, or the burst."""
    count: int
    """Hours with a pulse in the window; of a burst, minutes with one in it."""
    expected: float
    """As many as chance would give on average."""
    chance: float
    """How likely chance alone would give as much."""
    links: int
    """How many edges the node has now."""
    resonance: float | None
    """With the node nearest in meaning; null while that is not known."""
    resonant: str | None
    """Key of that node."""


class ConsensusMovement(msgspec.Struct, frozen=True):
    """A consensus node that rises, falls or bursts, with the figures behind that."""

    circle: str
    key: str
    label: str
    pattern: Literal["rising", "falling", "burst"]
    since: str
    contributors_before: int
    contributors: int
    score_before: float
    score: float
    linked: list[str]
    """The person's nodes that stand with it: what of it is alive here."""


class PatternList(msgspec.Struct, frozen=True):
    """What moves in a graph, the least likely by chance first."""

    items: list[PatternDocument]
    next: str | None
    window: str
    asked: int
    """Questions that were asked of histories: at most one in a hundred answers is
    chance, however many they are."""
    consensus: list[ConsensusMovement] = []
    """Consensus nodes that move, those with most people first: differences with their
    figures, not told from chance."""


class RegionDocument(msgspec.Struct, frozen=True):
    """Nodes that mean something similar."""

    key: str
    """Of the most central node."""
    labels: list[str]
    """Of the most central nodes: what the region is called."""
    size: int
    nodes: list[str]
    """Keys, the most central first."""


class RegionList(msgspec.Struct, frozen=True):
    """Regions of meaning, the largest first."""

    items: list[RegionDocument]
    next: str | None


class StreamPoint(msgspec.Struct, frozen=True):
    """A moment in a node's history; of an hour or a day, the mean over it."""

    time: str
    atp: float
    attention: float
    """How much of a person's attention it had, 0 to 1 (docs/energy.md)."""
    type: str
    count: int
    """How often it happened; more than once in an hour or a day."""


class StreamDocument(msgspec.Struct, frozen=True):
    """A node's history, oldest first."""

    points: list[StreamPoint]


def node_document(
    node: NodeRecord, atp: float, replication: Replication, consensus: list[str]
) -> NodeDocument:
    """Return a node as the API shows it; `consensus` are keys of consensus nodes."""
    return NodeDocument(
        node.key,
        node.label,
        node.type,
        node.metadata,
        node.network,
        Energy(round(atp, 9)),
        format_time(node.created_ms),
        format_time(node.updated_ms),
        node.version,
        replication,
        consensus,
        node.has_body,
        msgspec.UNSET if node.deleted_ms is None else format_time(node.deleted_ms),
    )


def edge_document(edge: Edge) -> EdgeDocument:
    """Return an edge as the API shows it."""
    return EdgeDocument(
        edge.id,
        edge.source,
        edge.target,
        edge.type,
        edge.weight,
        edge.metadata,
        format_time(edge.created_ms),
    )
