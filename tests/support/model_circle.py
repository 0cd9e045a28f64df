"""A circle in memory: what its members hold in common, without members' devices.

Who the person is, is `ME`; others speak through `say`.
"""

from collections.abc import Iterable, Mapping, Sequence
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
from crdt.closeness import from_bytes, resonances
from crdt.ids import CircleId, NodeKey
from daemon.circles.ports import LedgerEntry, Stance
from daemon.circles.preview import Embedded
from tests.support.contributions import CIRCLE, MODELS, author, reference
from tests.support.stand_in_model import vector

ME: Final = author("me")
THE_CIRCLE: Final = CircleId(CIRCLE)
EPOCH: Final = 2_900
NOW_MS: Final = EPOCH * 604_800_000 + 1_000


class StandInMeaning:
    """Embeds by the words of a text."""

    async def embedded(self, text: str, patience_seconds: float) -> Embedded:
        """Return the vector of a text."""
        return Embedded(vector(text), MODELS[0])


@dataclass
class ModelRecords:
    """The items of the circle."""

    circle: CircleId = THE_CIRCLE
    author: Author = ME
    held: dict[tuple[Author, Reference], Contribution] = field(default_factory=dict)
    noted: dict[Reference, LedgerEntry] = field(default_factory=dict)
    tallies: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    votes: dict[bytes, Stance | None] = field(default_factory=dict)

    def reference(self, node: NodeKey) -> Reference:
        """Return the hash of a node's key."""
        return sha256(node.encode()).digest()[:16]

    def next_sequence(self) -> int:
        """Return one more than the largest."""
        return 1 + max((each.sequence for each in self.held.values()), default=0)

    async def live(self, author: Author | None = None) -> Sequence[Contribution]:
        """Return what is not withdrawn."""
        return [
            each
            for each in self.held.values()
            if each.is_live and author in (None, each.author)
        ]

    async def contributions(self, ids: Iterable[bytes]) -> Sequence[Contribution]:
        """Return some of what stands."""
        wanted = set(ids)
        return [each for each in self.held.values() if each.id in wanted]

    async def ledger(self) -> Mapping[Reference, LedgerEntry]:
        """Return what was noted."""
        return dict(self.noted)

    def tally(self, consensus: bytes) -> tuple[int, int]:
        """Return what a test has set."""
        return self.tallies.get(consensus, (0, 0))

    def own_vote(self, consensus: bytes) -> Stance | None:
        """Return what was voted."""
        return self.votes.get(consensus)

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

    async def vote(self, consensus: bytes, vote: Stance | None) -> None:
        """Remember a vote."""
        self.votes[consensus] = vote


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
        self, vector: bytes, model: bytes, limit: int
    ) -> Sequence[tuple[Contribution, int]]:
        """Return the nearest, one by one."""
        found = [
            (each, near(each.vector, vector)) for each in await self.records.live()
        ]
        return sorted(found, key=lambda pair: -pair[1])[:limit]

    async def nodes_near(
        self, vector: bytes, model: bytes, limit: int
    ) -> Sequence[tuple[ConsensusNode, int]]:
        """Return nodes by their nearest member."""
        held = {each.id: each for each in await self.records.live()}
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


def near(left: bytes, right: bytes) -> int:
    """Return a similarity in basis points."""
    return int(resonances(from_bytes(left), right)[0] * 10_000)
