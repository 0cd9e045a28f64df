"""A circle in memory: what its members hold in common, without members' devices.

Who the person is, is `ME`; others speak through `say`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from consensus.contribution import (
    Author,
    Contribution,
    Reference,
    contribute,
    retract,
)
from consensus.invitations import InviteTree
from consensus.resonance import Resonance
from consensus.result import ConsensusNode, Result
from consensus.rule import Preset
from consensus.vote import Choice, Tally
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_notes_store import SeenNode
from crdt.closeness import from_bytes, resonances
from crdt.ids import AuthorKey, CircleId, NodeKey
from daemon.circles.movement import Moment
from daemon.circles.ports import LedgerEntry
from daemon.circles.preview import Embedded
from tests.support.contributions import CIRCLE, MODELS, author, reference
from tests.support.stand_in_model import vector

ME: Final = AuthorKey(author("me"))
THE_CIRCLE: Final = CircleId(CIRCLE)
EPOCH: Final = 2_900
NOW_MS: Final = EPOCH * 604_800_000 + 1_000


class StandInMeaning:
    """Embeds by the words of a text."""

    async def embedded(self, text: str, patience_seconds: float) -> Embedded:
        """Return the vector of a text."""
        return Embedded(vector(text), MODELS[0])


@dataclass
class ModelNotes:
    """What is noted of a circle."""

    records: "ModelRecords"
    known_aliases: dict[bytes, bytes] = field(default_factory=dict)
    known_history: list[Moment] = field(default_factory=list)
    known_keys: list[NodeKey] = field(default_factory=list)
    known_seen: list[SeenNode] = field(default_factory=list)

    async def published(self, circle: CircleId) -> Mapping[Reference, LedgerEntry]:
        """Return what was noted."""
        return dict(self.records.noted)

    async def recognise(
        self,
        circle: CircleId,
        reference_of: Callable[[NodeKey], Reference],
        unknown: Mapping[Reference, int],
    ) -> Mapping[Reference, LedgerEntry]:
        """Find those of the keys that a test has set."""
        return {
            reference_of(key): LedgerEntry(key, unknown[reference_of(key)])
            for key in self.known_keys
            if reference_of(key) in unknown
        }

    async def seen(self, circle: CircleId) -> Sequence[SeenNode]:
        """Return what a test has set."""
        return self.known_seen

    async def live(self, circle: CircleId) -> Mapping[AuthorKey, int]:
        """Return how much everybody has out."""
        return Counter(AuthorKey(each.author) for each in _live(self.records))

    async def aliases(self, circle: CircleId) -> Mapping[bytes, bytes]:
        """Return what a test has set."""
        return self.known_aliases

    async def histories(
        self, circle: CircleId, keys: Iterable[bytes], since_ms: int
    ) -> Mapping[bytes, Sequence[Moment]]:
        """Return what a test has set."""
        return dict.fromkeys(keys, self.known_history)


@dataclass
class ModelRecords:
    """The items of the circle."""

    circle: CircleId = THE_CIRCLE
    author: AuthorKey = ME
    held: dict[tuple[Author, Reference], Contribution] = field(default_factory=dict)
    noted: dict[Reference, LedgerEntry] = field(default_factory=dict)
    tallies: dict[bytes, Tally] = field(default_factory=dict)
    votes: dict[bytes, Choice] = field(default_factory=dict)

    def reference(self, node: NodeKey) -> Reference:
        """Return the hash of a node's key."""
        return sha256(node.encode()).digest()[:16]

    def next_sequence(self) -> int:
        """Return one more than the largest."""
        return 1 + max((each.sequence for each in self.held.values()), default=0)

    async def contributions(self) -> Sequence[Contribution]:
        """Return everything."""
        return list(self.held.values())

    async def contributions_of(self, author: AuthorKey) -> Sequence[Contribution]:
        """Return what somebody said."""
        return [each for each in self.held.values() if each.author == author]

    async def contribution(
        self, author: AuthorKey, reference: Reference
    ) -> Contribution | None:
        """Return what stands under a reference."""
        return self.held.get((author, reference))

    async def load(self, kind: ItemKind, identities: Sequence[bytes]) -> Sequence[Item]:
        """Return some of what stands, with a signature that is none."""
        return [
            Item(kind, ItemName(each.epoch, each.id), each.encoded + bytes(64))
            for each in self.held.values()
            if each.id in identities
        ]

    def tally(self, key: bytes) -> Tally:
        """Return what a test has set."""
        return self.tallies.get(key, Tally())

    def own_vote(self, key: bytes) -> Choice:
        """Return what was voted."""
        return self.votes.get(key, Choice.WITHDRAW)

    async def contribute(self, contribution: Contribution, node: NodeKey) -> None:
        """Hold a record."""
        self.held[contribution.author, contribution.reference] = contribution
        self.noted.setdefault(
            contribution.reference, LedgerEntry(NodeKey(node), NOW_MS)
        )

    async def retract(self, node: NodeKey) -> None:
        """Hold a retraction."""
        named = self.reference(node)
        gone = retract(
            self.circle,
            ME,
            named,
            self.next_sequence(),
            model=MODELS[0],
            epoch=EPOCH,
        )
        self.held[ME, named] = gone
        self.noted.pop(named, None)

    async def vote(self, key: bytes, choice: Choice) -> None:
        """Remember a vote."""
        self.votes[key] = choice


@dataclass
class ModelCollective:
    """What resonates, by the rule itself."""

    records: ModelRecords
    looks: int = 0

    async def result(self) -> Result:
        """Work it out from nothing."""
        self.looks += 1
        engine = Resonance(self.records.circle, Preset.STRICT)
        engine.put(self.records.held.values())
        return engine.result(InviteTree({}))

    async def nearest(
        self,
        vector: bytes,
        model: bytes,
        limit: int,
        but_not_by: Author | None = None,
    ) -> Sequence[tuple[Contribution, int]]:
        """Return the nearest, one by one."""
        found = [
            (each, near(each.vector, vector))
            for each in _live(self.records)
            if each.author != but_not_by
        ]
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    async def nodes_near(
        self, vector: bytes, model: bytes, limit: int
    ) -> Sequence[tuple[ConsensusNode, int]]:
        """Return nodes by their nearest member."""
        held = {each.id: each for each in _live(self.records)}
        found = [
            (node, max(near(held[id_].vector, vector) for id_ in node.members))
            for node in (await self.result()).nodes
        ]
        return sorted(found, key=lambda pair: -pair[1])[:limit]


@dataclass
class ModelCircle:
    """The circle."""

    records: ModelRecords = field(default_factory=ModelRecords)
    preset: Preset = Preset.STRICT

    def __post_init__(self) -> None:
        """Join the parts."""
        self.collective = ModelCollective(self.records)

    @property
    def id(self) -> CircleId:
        """Which circle it is."""
        return self.records.circle

    def say(self, who: str, text: str) -> Contribution:
        """Let somebody else contribute a text."""
        made = contribute(
            self.id,
            author(who),
            reference(text),
            1,
            text=text,
            model=MODELS[0],
            vector=vector(text),
            # Each a week later, so that whoever comes later changes no key.
            epoch=EPOCH + len(self.records.held),
        )
        self.records.held[made.author, made.reference] = made
        return made


def _live(records: ModelRecords) -> list[Contribution]:
    return [each for each in records.held.values() if each.is_live]


def near(left: bytes, right: bytes) -> int:
    """Return a similarity in basis points."""
    return int(resonances(from_bytes(left), right)[0] * 10_000)
