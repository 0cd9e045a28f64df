"""What publishing and the bridge need of a circle, of meaning and of the graph."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from consensus.contribution import Author, Contribution, Reference
from consensus.result import ConsensusNode, Result
from consensus.rule import Preset
from consensus.vote import Choice, Tally
from crdt.circle_items import Item, ItemKind
from crdt.circle_notes_store import SeenNode
from crdt.commands import Executable
from crdt.execution import Outcome
from crdt.graph_reader import GraphReader
from crdt.ids import AuthorKey, CircleId, NodeKey
from daemon.circles.movement import Moment
from daemon.circles.preview import Embedded
from daemon.circles.refusals import Refusal
from daemon.circles.view import CircleView

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is out of one node, as this device noted it."""

    node: NodeKey
    since_ms: int


class RecordsPort(Protocol):
    """The items of one circle, and how this person adds to them."""

    @property
    def circle(self) -> CircleId:
        """Which circle it is."""

    @property
    def author(self) -> AuthorKey:
        """The person's pseudonym in it."""

    def reference(self, node: NodeKey) -> Reference:
        """Return what the person calls a node in this circle."""

    def next_sequence(self) -> int:
        """Return the sequence of the person's next record."""

    async def contributions(self) -> Sequence[Contribution]:
        """Return the contributions that stand, retractions too."""

    async def contributions_of(self, author: AuthorKey) -> Sequence[Contribution]:
        """Return what stands of one author, retractions too."""

    async def contribution(
        self, author: AuthorKey, reference: Reference
    ) -> Contribution | None:
        """Return what stands under a reference of an author."""

    async def load(self, kind: ItemKind, identities: Sequence[bytes]) -> Sequence[Item]:
        """Return those of some items that there are still."""

    def tally(self, key: bytes) -> Tally:
        """Return how many members affirm a consensus node, and how many dissent."""

    def own_vote(self, key: bytes) -> Choice:
        """Return what this person says of a consensus node."""

    async def contribute(self, contribution: Contribution, node: NodeKey) -> None:
        """Sign a record of this person, keep it durably and hand it on.

        Raises `ConflictError` if the circle takes nothing from this person any more.
        """

    async def retract(self, node: NodeKey) -> None:
        """Take back what was published of a node, durably, and hand that on.

        Raises `NotFoundError` if nothing of it is out.
        """

    async def vote(self, key: bytes, choice: Choice) -> None:
        """Say what this person thinks of a consensus node, durably."""


class CollectivePort(Protocol):
    """What resonates in one circle, worked out when somebody asks."""

    async def result(self) -> Result:
        """Return the consensus of what stands now."""

    async def nearest(
        self,
        vector: bytes,
        model: bytes,
        limit: int,
        but_not_by: Author | None = None,
    ) -> Sequence[tuple[Contribution, int]]:
        """Return the contributions nearest in meaning, with their resonance in bp."""

    async def nodes_near(
        self, vector: bytes, model: bytes, limit: int
    ) -> Sequence[tuple[ConsensusNode, int]]:
        """Return the consensus nodes nearest in meaning, with their resonance in bp."""


class CirclePort(Protocol):
    """A circle as publishing and the bridge need it."""

    @property
    def id(self) -> CircleId:
        """Which circle it is."""

    @property
    def preset(self) -> Preset:
        """What it was founded with."""

    @property
    def records(self) -> RecordsPort:
        """Its items."""

    @property
    def collective(self) -> CollectivePort:
        """What resonates in it."""


class JoinedCircle(CirclePort, Protocol):
    """A circle that this person is or was in, and what may be done with it."""

    @property
    def is_active(self) -> bool:
        """Whether the person takes part."""

    @property
    def refusals(self) -> Counter[Refusal]:
        """What was not taken of others since the circle was opened, by reason."""

    def alias(self, author: AuthorKey) -> str:
        """Return how somebody who is or was a member is called."""

    def overview(self) -> CircleView:
        """Return the circle as it is shown."""

    async def invite(self, uses: int, valid_seconds: int) -> tuple[str, int]:
        """Return a ticket, and until when it holds, in Unix milliseconds."""

    async def remove(self, member: AuthorKey) -> None:
        """Remove somebody for good; raises a `RefusedError`."""

    async def vouch(self, member: AuthorKey) -> None:
        """Vouch for a member; raises a `RefusedError`."""

    async def leave(self) -> None:
        """Leave for good; raises a `RefusedError`."""


class CirclesPort(Protocol):
    """The circles of this person."""

    async def found(self, name: str, preset: Preset, alias: str | None) -> JoinedCircle:
        """Found a circle; raises `InvalidError` for a name that nobody could read."""

    async def join(self, ticket: str, alias: str | None) -> JoinedCircle:
        """Join the circle of a ticket.

        Raises `InvalidError` for what is no ticket, `NotFoundError` if nobody answers,
        `ConflictError` if the inviter refuses.
        """

    def all(self) -> Sequence[JoinedCircle]:
        """Return the circles that this person is or was in."""

    def circle(self, text: str) -> JoinedCircle:
        """Return the circle with this id, beginning of an id, or name.

        Raises `NotFoundError`.
        """


class MeaningPort(Protocol):
    """Turns texts into vectors."""

    async def embedded(self, text: str, patience_seconds: float) -> Embedded:
        """Return a text as a vector of the model that makes new ones.

        Raises `EmbeddingError` why that is not known.
        """


class NotesPort(Protocol):
    """What this device noted of circles."""

    async def published(self, circle: CircleId) -> Mapping[Reference, LedgerEntry]:
        """Return which nodes this person's references stand for, as far as known."""

    async def recognise(
        self,
        circle: CircleId,
        reference_of: Callable[[NodeKey], Reference],
        unknown: Mapping[Reference, int],
    ) -> Mapping[Reference, LedgerEntry]:
        """Find the nodes of references, each with since when it is out; note them."""

    async def seen(self, circle: CircleId) -> Sequence[SeenNode]:
        """Return the consensus nodes of the last result that was noted."""

    async def live(self, circle: CircleId) -> Mapping[AuthorKey, int]:
        """Return how many contributions of each author are not withdrawn."""

    async def aliases(self, circle: CircleId) -> Mapping[bytes, bytes]:
        """Return which consensus node goes on as an earlier one did, by their keys."""

    async def histories(
        self, circle: CircleId, keys: Iterable[bytes], since_ms: int
    ) -> Mapping[bytes, Sequence[Moment]]:
        """Return how consensus nodes stood since a time, oldest first."""


class GraphPort(Protocol):
    """The person's own graph."""

    async def write(self, command: Executable) -> Outcome:
        """Carry out a command durably."""

    def read(
        self, question: Callable[[GraphReader], Answer], /
    ) -> Coroutine[Any, Any, Answer]:
        """Ask a reader in its thread."""
