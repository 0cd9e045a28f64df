"""What resonates in circles, and what is published to them, as documents."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from daemon.api.shapes import DEFAULT_LIMIT, Limit, NodeDocument, Request

Stance: TypeAlias = Literal["affirm", "dissent"]


class ContributionsQuery(Request, frozen=True):
    """Whose contributions to list."""

    mine: bool = True
    """Only those of this person: the ledger."""
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    space: str | None = None


class ConsensusQuery(Request, frozen=True):
    """Which consensus nodes to list."""

    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    status: Literal["emerging", "consensus"] | None = None
    q: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    """Words that the label or a member's text must have, all of them."""
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    space: str | None = None


class TreeQuery(Request, frozen=True):
    """How far to walk from the linked nodes."""

    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    """Nodes with less resonance are left out."""
    depth: Annotated[int, msgspec.Meta(ge=1, le=6)] = 5
    decay: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.9
    """What is left of the resonance after each step."""
    limit: Limit = 200
    space: str | None = None


class HistoryQuery(Request, frozen=True):
    """Since when."""

    since: str | None = None
    space: str | None = None


class VoteContent(Request, frozen=True):
    """What the person says of a consensus node; null takes it back."""

    vote: Stance | None


class IntegrateContent(Request, frozen=True):
    """What to link a consensus node with."""

    node: str | None = None
    """By default those of the person's nodes that are part of it."""


class PreviewDocument(msgspec.Struct, frozen=True):
    """What publishing a node would send, before anything is sent."""

    circle: str
    node: str
    text: str
    """The label in Unicode NFC: what members read."""
    record: str
    """Exactly the bytes that leave, in hexadecimal, before signature and encryption."""
    size: int
    """Of these, in bytes; 64 bytes of signature follow."""
    id: str
    """SHA-256 of the record."""
    model: str
    """Tag of the model that made the vector."""
    epoch: int
    """Week of the record."""
    week_of: str
    """When that week begins."""
    already: bool
    """Whether this very text is out already, so that publishing changes nothing."""
    notice: str
    """What the person should know before."""


class ContributionDocument(msgspec.Struct, frozen=True):
    """A text that is out in a circle."""

    id: str
    author: str
    alias: str
    mine: bool
    text: str
    node: str | None
    """Key of the person's node; null for others', and where it is not known here."""
    since: str
    """When it was published; of what another device published, its week."""
    consensus: str | None
    """The consensus node that it is part of."""
    label: str | None
    """Of that."""


class ContributionList(msgspec.Struct, frozen=True):
    """Contributions, the newest first."""

    items: list[ContributionDocument]
    next: str | None


class PublishedDocument(msgspec.Struct, frozen=True):
    """What has gone out."""

    contribution: ContributionDocument
    notice: str


class WithdrawnDocument(msgspec.Struct, frozen=True):
    """What was taken back."""

    node: str
    text: str
    notice: str
    """What withdrawing does, and what it cannot do."""


class ConsensusDocument(msgspec.Struct, frozen=True):
    """A group of thoughts of several people that resonate: they are close in meaning.

    It says nothing on whether they hold the same view of it; only `affirm` and
    `dissent` do.
    """

    key: str
    label: str
    keywords: list[str]
    status: Literal["emerging", "consensus"]
    contributor_count: int
    """Different people."""
    counted_authors: int
    """Of these, how many count: of one branch of invitations two at most."""
    member_count: int
    """Contributions."""
    resonance_score: float
    """How close in meaning they are, 0 to 1."""
    affirm: int
    dissent: int
    vote: Stance | None
    """What this person says of it."""
    first_epoch: int
    last_epoch: int
    """Weeks of the oldest and the newest contribution."""
    mine: bool
    """Whether a contribution of this person is part of it."""
    linked: list[str]
    """Keys of the person's nodes that are part of it or linked with it."""


class ConsensusList(msgspec.Struct, frozen=True):
    """Consensus nodes, the most resonant first."""

    items: list[ConsensusDocument]
    next: str | None
    result_hash: str
    """Equal on two devices if and only if they show the same."""


class MemberText(msgspec.Struct, frozen=True):
    """A contribution within a consensus node."""

    id: str
    author: str
    alias: str
    mine: bool
    text: str
    epoch: int


class ConsensusDetail(ConsensusDocument, frozen=True):
    """A consensus node and what it is made of."""

    members: list[MemberText]
    """That whose text is the label first, the others by their texts."""


class BranchDocument(msgspec.Struct, frozen=True):
    """A node of the person's, reached from a consensus node."""

    node: NodeDocument
    parent: str | None
    """The node before it on the way; null where the walk begins."""
    edge: str | None
    """Type of the edge that leads to it."""
    depth: int
    resonance: float
    """1 where the walk begins, less by `decay` with each step."""


class TreeDocument(msgspec.Struct, frozen=True):
    """The person's own nodes around a consensus node, nearest first."""

    key: str
    label: str
    items: list[BranchDocument]


class HistoryPoint(msgspec.Struct, frozen=True):
    """How a consensus node stood from a moment on, as this device saw it."""

    time: str
    resonance_score: float
    contributor_count: int
    counted_authors: int
    member_count: int


class HistoryDocument(msgspec.Struct, frozen=True):
    """A consensus node over time, oldest first."""

    key: str
    points: list[HistoryPoint]


class IntegratedDocument(msgspec.Struct, frozen=True):
    """A consensus node that is kept in the graph now."""

    node: NodeDocument
    linked: list[str]
    """Keys of the nodes with an edge to it."""
