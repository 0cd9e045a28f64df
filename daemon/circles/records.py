"""One circle's sets as others here use them: what stands, and what this person adds.

Specification: docs/protocol/circle-items.md. Rules of this file:

1. What is offered, counted or told is durable.
2. Contents stay in the store until somebody asks: memory knows names, cards, votes.
"""

import asyncio
from collections import Counter
from collections.abc import (
    Callable,
    Collection,
    Container,
    Coroutine,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, Final

from consensus.contribution import (
    SECONDS_OF_AN_EPOCH,
    Contribution,
    decode_contribution,
    next_sequence,
    retract,
    sign_contribution,
)
from consensus.vote import Choice, Tally, cast_vote, next_vote_sequence, sign_vote
from crdt.circle_card import Card
from crdt.circle_item_store import (
    read_items_at,
)
from crdt.circle_items import Item, ItemKind, ItemName, SetSum
from crdt.circle_keys import (
    CircleIdentity,
    CircleKeys,
)
from crdt.circle_membership import CircleMembership, CircleSaid
from crdt.circle_notes_store import Published, delete_published, write_published
from crdt.circle_standing import Placed
from crdt.database import Connection
from crdt.errors import ConflictError, NotFoundError
from crdt.identity import Identity
from crdt.ids import AuthorKey, CircleId, DeviceId, NodeKey
from crdt.keys import SIGNATURE_BYTES
from crdt.roster import Roster
from daemon.circles.arrival import Arrived, Refused
from daemon.circles.changes import Change, Kept
from daemon.circles.keeping import Keeping
from daemon.circles.refusals import Refusal


@dataclass(frozen=True, slots=True)
class _Statements:
    """The set of statements that one roster accepted."""

    roster: Roster
    names: Sequence[ItemName]
    sum: SetSum


class CircleRecords:
    """The items of one circle, and how this person adds to them."""

    def __init__(self, identity: CircleIdentity, keeping: Keeping) -> None:
        self.identity = identity
        self._keeping = keeping
        self._statements: _Statements | None = None

    @property
    def circle(self) -> CircleId:
        """Which circle it is."""
        return self.identity.circle

    @property
    def author(self) -> AuthorKey:
        """The person's pseudonym in it."""
        return self.identity.author_key

    @property
    def membership(self) -> CircleMembership:
        """Who belongs to the circle, as far as known, and the keys."""
        return self._keeping.membership

    @property
    def keys(self) -> CircleKeys:
        """The circle's keys that this device has."""
        return self.membership.keys

    @property
    def roster(self) -> Roster:
        """Who belongs to the circle."""
        return self.membership.roster

    @property
    def members(self) -> frozenset[AuthorKey]:
        """Who is in the circle now."""
        return self._keeping.members

    @property
    def statements(self) -> Sequence[bytes]:
        """The statements of the roster, in causal order."""
        return [each.encoded for each in self.roster.statements]

    @property
    def cards(self) -> Sequence[Card]:
        """Where the devices of members are."""
        return self._keeping.sets.cards()

    @property
    def quarantined(self) -> Mapping[bytes, AuthorKey]:
        """Contributions that are not taken, by id, and who signed them."""
        return self._keeping.quarantined

    @property
    def refusals(self) -> Counter[Refusal]:
        """What was refused since the circle was opened."""
        return self._keeping.refusals

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` on the event loop after each change."""
        self._keeping.listeners.append(listener)

    def count(self, kind: ItemKind) -> int:
        """Return how many items of a kind there are."""
        if kind is ItemKind.STATEMENT:
            return len(self.roster.hashes)
        return len(self._keeping.sets.standing[kind])

    def count_of(self, author: AuthorKey) -> int:
        """Return how many contributions stand of an author, retractions too."""
        return len(self._keeping.sets.standing[ItemKind.CONTRIBUTION].of(author))

    def names(self, kind: ItemKind) -> Sequence[ItemName]:
        """Return a sorted snapshot of the names of a set; nobody changes it."""
        if kind is ItemKind.STATEMENT:
            return self._statements_now().names
        return self._keeping.sets.standing[kind].names()

    def sum(self, kind: ItemKind) -> SetSum:
        """Return the sum over a set, which is equal on two devices iff the sets are."""
        if kind is ItemKind.STATEMENT:
            return self._statements_now().sum
        return self._keeping.sets.standing[kind].sum

    def fingerprint(self, kind: ItemKind) -> bytes:
        """Return 32 bytes that are equal on two devices iff the sets are."""
        return self.sum(kind).fingerprint

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        """Return those names of which the item is neither here nor refused for good."""
        passed = self._keeping.passed_over, self.quarantined
        held: Container[bytes] = (
            self.membership.statements
            if kind is ItemKind.STATEMENT
            else self._keeping.sets.standing[kind]
        )
        return [
            each
            for each in names
            if each.id not in held and not any(each.id in known for known in passed)
        ]

    async def load(self, kind: ItemKind, identities: Sequence[bytes]) -> list[Item]:
        """Return those of the items that there are still, statements causes first."""
        if kind is ItemKind.STATEMENT:
            wanted = set(identities)
            return [
                Item(kind, ItemName(0, each.hash), each.encoded)
                for each in self.roster.statements
                if each.hash in wanted
            ]
        standing = self._keeping.sets.standing[kind]
        found = (standing.find(identity) for identity in identities)
        return await self._load(kind, [each for each in found if each is not None])

    async def contributions(self) -> list[Contribution]:
        """Return the contributions that stand, retractions too."""
        standing = self._keeping.sets.standing[ItemKind.CONTRIBUTION]
        return await self._contributions(list(standing))

    async def contributions_of(self, author: AuthorKey) -> list[Contribution]:
        """Return what stands of one author, retractions too."""
        standing = self._keeping.sets.standing[ItemKind.CONTRIBUTION]
        return await self._contributions(list(standing.of(author)))

    async def contribution(
        self, author: AuthorKey, reference: bytes
    ) -> Contribution | None:
        """Return what stands under a reference of an author."""
        standing = self._keeping.sets.standing[ItemKind.CONTRIBUTION]
        placed = standing.at(author, reference)
        found = await self._contributions([] if placed is None else [placed])
        return found[0] if found else None

    def tally(self, key: bytes) -> Tally:
        """Return how many members affirm a consensus node, and how many dissent."""
        return self._keeping.sets.votes.tally(key, self.members)

    def own_vote(self, key: bytes) -> Choice:
        """Return what this person says of a consensus node."""
        return self._keeping.sets.votes.choice(self.author, key)

    def reference(self, node: NodeKey) -> bytes:
        """Return what this person calls a node in this circle."""
        return self.identity.reference(node)

    def next_sequence(self) -> int:
        """Return the sequence of this person's next contribution.

        Raises `ConflictError` when there is none left.
        """
        standing = self._keeping.sets.standing[ItemKind.CONTRIBUTION]
        return next_sequence(standing.largest_sequence(self.author))

    async def keep(
        self,
        kind: ItemKind,
        contents: Sequence[bytes],
        origin: DeviceId | None = None,
    ) -> Kept:
        """Take what is acceptable of items that came in, durably.

        Raises a `StoreError` if nothing could be written; then nothing changed.
        """
        return await self._keeping.whole(
            lambda: self._keeping.keep(kind, contents, origin)
        )

    async def state(
        self, write: Callable[[Roster, Identity, CircleKeys], CircleSaid]
    ) -> Sequence[Item]:
        """State something as this person, durably; return it as others are told.

        Raises what `write` raises; then nothing changed.
        """

        async def work() -> Sequence[Item]:
            # A roster of many statements takes a while.
            after = await asyncio.to_thread(self.membership.saying, write)
            return await self._keeping.use(after)

        return await self._keeping.whole(work)

    async def quarantine(self, identities: Collection[bytes]) -> None:
        """Let go of contributions of which the vector does not fit the text."""
        await self._keeping.whole(lambda: self._keeping.quarantine(identities))

    async def contribute(self, contribution: Contribution, node: NodeKey) -> None:
        """Sign what this person publishes of a node, and keep it durably.

        Raises `ConflictError` if what stands of that node is newer, or this person is
        no member.
        """
        now_ms = self._keeping.clocks.wall_ms()
        published = Published(contribution.reference, node, now_ms)
        circle = self.circle

        async def noted() -> Contribution:
            return contribution

        await self._publish(
            noted,
            lambda connection: write_published(connection, circle, published),
        )

    async def retract(self, node: NodeKey) -> None:
        """Take back what this person published of a node, durably.

        Raises `NotFoundError` if nothing of it is out.
        """
        reference, circle = self.reference(node), self.circle

        async def retraction() -> Contribution:
            former = await self.contribution(self.author, reference)
            if former is None or not former.is_live:
                raise NotFoundError(_NOT_OUT)
            seconds = self._keeping.clocks.wall_ms() // 1000
            return retract(
                self.circle,
                self.author,
                reference,
                self.next_sequence(),
                model=former.model,
                epoch=seconds // SECONDS_OF_AN_EPOCH,
            )

        await self._publish(
            retraction,
            lambda connection: delete_published(connection, circle, reference),
        )

    async def vote(self, key: bytes, choice: Choice) -> None:
        """Say what this person thinks of a consensus node, durably.

        Raises `ConflictError` if this person is no member.
        """

        async def work() -> None:
            keeping = self._keeping
            largest = keeping.sets.votes.largest_sequence(self.author)
            sequence = next_vote_sequence(largest, keeping.clocks.wall_ms())
            vote = cast_vote(self.circle, self.author, key, sequence, choice)
            signature = sign_vote(self.identity.author.signing_key(), vote)
            await self._keep_own(ItemKind.VOTE, vote.encoded + signature)

        await self._keeping.whole(work)

    async def close(self) -> None:
        """Wait for what was begun."""
        await self._keeping.close()

    def _statements_now(self) -> "_Statements":
        if self._statements is None or self._statements.roster is not self.roster:
            hashes = sorted(self.roster.hashes)
            total = SetSum()
            for each in hashes:
                total = total.plus(each)
            names = [ItemName(0, each) for each in hashes]
            self._statements = _Statements(self.roster, names, total)
        return self._statements

    async def _publish(
        self,
        write: Callable[[], Coroutine[Any, Any, Contribution]],
        beside: Callable[[Connection], None],
    ) -> None:
        async def work() -> None:
            contribution = await write()
            signature = sign_contribution(
                self.identity.author.signing_key(), contribution
            )
            content = contribution.encoded + signature
            await self._keep_own(ItemKind.CONTRIBUTION, content, beside)

        await self._keeping.whole(work)

    async def _keep_own(
        self,
        kind: ItemKind,
        content: bytes,
        beside: Callable[[Connection], None] | None = None,
    ) -> None:
        """Keep a record of this person by the checks that all others make."""
        judgement = self._keeping.gate(kind).judge(content)
        match judgement:
            case Arrived():
                await self._keeping.settle(kind, [judgement], beside=beside)
            case Refused(reason=Refusal.AUTHOR):
                raise ConflictError(_NO_MEMBER)
            case Refused(reason=Refusal.DUPLICATE):
                pass
            case _:
                raise ConflictError(_NEWER)

    async def _load(self, kind: ItemKind, places: Sequence[Placed]) -> list[Item]:
        circle = self.circle
        return await self._keeping.shelf.read(
            lambda connection: read_items_at(connection, circle, kind, places)
        )

    async def _contributions(self, places: Sequence[Placed]) -> list[Contribution]:
        found: list[Contribution] = []
        for start in range(0, len(places), _AT_ONCE):
            part = places[start : start + _AT_ONCE]
            items = await self._load(ItemKind.CONTRIBUTION, part)
            found += await asyncio.to_thread(_decoded, items)
        return found


def _decoded(items: Sequence[Item]) -> list[Contribution]:
    return [decode_contribution(each.content[:-SIGNATURE_BYTES]) for each in items]


_AT_ONCE: Final = 500
"""Contributions are read in parts, so that the store's owner serves others as well."""
_NOT_OUT: Final = "Nothing of this node is published to the circle."
_NO_MEMBER: Final = (
    "You are no longer a member of this circle, so nothing was sent to it. What you"
    " published before may have been read and kept by others."
)
_NEWER: Final = (
    "Another of your devices published something newer of this meanwhile; nothing was"
    " changed. Look at it again and repeat what you want."
)
