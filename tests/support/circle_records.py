"""Devices that keep the records of a circle, each in a store of its own."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from consensus.contribution import (
    Contribution,
    contribute,
    retract,
    sign_contribution,
)
from consensus.vote import Choice, cast_vote, sign_vote
from crdt.circle_card import make_card
from crdt.circle_items import Item, ItemKind
from crdt.circle_keys import CircleIdentity, circle_identity
from crdt.circle_store import read_circles
from crdt.database import Connection, Database, store_errors
from crdt.ids import NodeKey
from daemon.circles.keeping import Clocks
from daemon.circles.opening import begin_circle, open_circle
from daemon.circles.records import CircleRecords
from tests.support.circle_people import Circle, person
from tests.support.contributions import MODELS, vector
from tests.support.replicas import START_MS, STORE_KEY

Found = TypeVar("Found")

RECORD_KINDS = (ItemKind.CARD, ItemKind.CONTRIBUTION, ItemKind.VOTE)


@dataclass
class StoreShelf:
    """A store without a graph's owner: written to by whoever asks."""

    connection: Connection

    async def read(self, read: Callable[[Connection], Found]) -> Found:
        with store_errors():
            return read(self.connection)

    async def write(self, write: Callable[[Connection], None]) -> None:
        with store_errors():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                write(self.connection)
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise


@dataclass
class Keeper:
    """A device of a person of a circle, with clocks that stand."""

    home: Path
    circle: Circle
    name: str
    device: str = "phone"
    now_ms: int = START_MS
    monotonic_ms: int = 0
    records: CircleRecords = field(init=False)
    database: Database = field(init=False)

    @property
    def who(self) -> CircleIdentity:
        """Who the device is in the circle."""
        own = person(self.name, self.device)
        return circle_identity(own, self.circle.founding)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CircleRecords]:
        """Open the store; a new one knows what the person heard so far."""
        self.home.mkdir(exist_ok=True)
        with Database(self.home, STORE_KEY) as self.database:
            shelf = StoreShelf(self.database.writer)
            if not read_circles(self.database.writer):
                membership = self.circle.membership(self.name)
                await begin_circle(shelf, self.circle.founding.encoded, membership)
            (stored,) = read_circles(self.database.writer)
            own = person(self.name, self.device)
            clocks = Clocks(lambda: self.now_ms, lambda: self.monotonic_ms)
            self.records = await open_circle(shelf, stored, own, clocks)
            yield self.records
            await self.records.close()

    async def publish(self, node: str, text: str = "") -> Contribution:
        """Publish a node of the person."""
        records = self.records
        contribution = contribute(
            records.circle,
            records.author,
            records.reference(NodeKey(node)),
            records.next_sequence(),
            text=text or f"thought {node}",
            model=MODELS[0],
            vector=vector(0),
            epoch=2900,
        )
        await records.contribute(contribution, NodeKey(node))
        return contribution


@dataclass(frozen=True)
class Writer:
    """Makes records of one person, whatever anybody else knows or thinks of them."""

    who: CircleIdentity

    def says(self, what: object, sequence: int = 1, text: str = "") -> bytes:
        """Return a signed contribution."""
        return self.signed(
            contribute(
                self.who.circle,
                self.who.author_key,
                sha256(f"{what}".encode()).digest()[:16],
                sequence,
                text=text or f"thought {what}",
                model=MODELS[0],
                vector=vector(0),
                epoch=2900,
            )
        )

    def unsays(self, what: object, sequence: int = 2) -> bytes:
        """Return a signed retraction."""
        return self.signed(
            retract(
                self.who.circle,
                self.who.author_key,
                sha256(f"{what}".encode()).digest()[:16],
                sequence,
                model=MODELS[0],
                epoch=2900,
            )
        )

    def votes(self, key: object, sequence: int = 1, choice: int = 1) -> bytes:
        """Return a signed vote."""
        consensus = sha256(f"{key}".encode()).digest()
        author = self.who.author_key
        vote = cast_vote(self.who.circle, author, consensus, sequence, Choice(choice))
        return vote.encoded + sign_vote(self.who.author.signing_key(), vote)

    def is_at(self, *addresses: str, sequence: int = 1) -> bytes:
        """Return a signed card."""
        who = self.who
        card = make_card(who.circle, who.author, who.device, sequence, addresses)
        return card.content

    def signed(self, contribution: Contribution) -> bytes:
        """Return a contribution with the signature of this person."""
        key = self.who.author.signing_key()
        return contribution.encoded + sign_contribution(key, contribution)


def writer(circle: Circle, name: str, device: str = "phone") -> Writer:
    """Return who writes as a person of a circle."""
    return Writer(circle_identity(person(name, device), circle.founding))


async def exchange(one: CircleRecords, other: CircleRecords) -> int:
    """Give each what it lacks of the other's sets; return how many items were new."""
    new = 0
    for kind in ItemKind:
        for here, there in ((one, other), (other, one)):
            names = there.lacking(kind, here.names(kind))
            items = await here.load(kind, [each.id for each in names])
            kept = await there.keep(kind, [each.content for each in items])
            new += len(kept.new)
    return new


def sums(records: CircleRecords) -> list[bytes]:
    """Return the fingerprints of all sets."""
    return [records.fingerprint(kind) for kind in ItemKind]


async def contents(
    records: CircleRecords, kinds: Iterable[ItemKind] = RECORD_KINDS
) -> dict[ItemKind, list[Item]]:
    """Return everything that is held, read from the store."""
    return {
        kind: await records.load(kind, [each.id for each in records.names(kind)])
        for kind in kinds
    }
