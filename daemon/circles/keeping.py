"""How a circle's sets change: durable in the store first, then in memory, then told.

Rules of this file:

1. What was begun is finished, whoever stops waiting for it; one thing at a time.
2. A record that is refused is offered again by whoever has it, when devices next
   compare their sets: nothing is lost that came before what makes it valid.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from crdt.circle_item_store import (
    delete_items,
    read_items_of,
    write_items,
    write_quarantine,
)
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_keys import encode_circle_keys
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import present_members
from crdt.circle_standing import Plan, StoredItem
from crdt.circle_store import write_circle_keys, write_circle_statements
from crdt.database import Connection
from crdt.ids import AuthorKey, DeviceId
from crdt.statement import statement_hash
from daemon.circles.allowance import Allowance
from daemon.circles.arrival import Arrived, Gate, Refused
from daemon.circles.changes import Change, Kept, entered
from daemon.circles.forms import FORMS
from daemon.circles.refusals import Refusal
from daemon.circles.sets import Sets
from daemon.circles.shelf import Shelf
from daemon.circles.statements_arriving import sorted_out

Result = TypeVar("Result")

MAX_QUARANTINED: Final = 4_096
"""So many records that are not to be taken are remembered, the newest."""


MAX_PASSED_OVER: Final = 8_192
_FOR_GOOD: Final = frozenset({Refusal.SUPERSEDED, Refusal.BEYOND_BOUND})


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is, and how much of it passed, in milliseconds."""

    wall_ms: Callable[[], int]
    monotonic_ms: Callable[[], int]


@dataclass(slots=True)
class Keeping:
    """The sets of one circle and the one way in which they change."""

    shelf: Shelf
    membership: CircleMembership
    clocks: Clocks
    sets: Sets
    quarantined: dict[bytes, AuthorKey]
    """By id, the newest last."""
    members: frozenset[AuthorKey]
    refusals: Counter[Refusal] = field(default_factory=Counter)
    """All that were counted since the circle was opened."""
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    passed_over: dict[bytes, None] = field(default_factory=dict)
    """Ids of records that cannot stand beside those that do."""
    _allowances: Mapping[ItemKind, Allowance] = field(
        default_factory=lambda: {
            kind: Allowance(form.of_an_author, form.refill_ms)
            for kind, form in FORMS.items()
        }
    )
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: set["asyncio.Task[Any]"] = field(default_factory=set)

    def gate(self, kind: ItemKind) -> Gate:
        """Return what records of a kind are judged by now."""
        return Gate(
            self.membership.circle,
            kind,
            self.sets.standing[kind],
            self.members,
            self.quarantined,
        )

    async def whole(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Do `work` alone and to its end, even if the caller is cancelled."""
        task = asyncio.create_task(self._alone(work))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def keep(
        self, kind: ItemKind, contents: Sequence[bytes], origin: DeviceId | None
    ) -> Kept:
        """Take what is acceptable of records from outside; only within `whole`."""
        if kind is ItemKind.STATEMENT:
            return await self._keep_statements(contents, origin)
        gate = self.gate(kind)
        arrived: list[Arrived] = []
        names: list[ItemName] = []
        refused: Counter[Refusal] = Counter()
        for judgement in await asyncio.to_thread(gate.judge_all, contents):
            match judgement:
                case Refused(reason, name):
                    refused[reason] += 1
                    names += [] if name is None else [name]
                    if name is not None and reason in _FOR_GOOD:
                        self._pass_over(name.id)
                case Arrived(item=item, placed=placed):
                    names.append(item.name)
                    if self._has_room(kind, placed.author):
                        arrived.append(judgement)
                    else:
                        refused[Refusal.RATE] += 1
        self.refusals.update(refused)
        kept = await self.settle(kind, arrived, origin)
        return Kept(kept.new, names, refused + kept.refused)

    async def settle(
        self,
        kind: ItemKind,
        arrived: Sequence[Arrived],
        origin: DeviceId | None = None,
        beside: Callable[[Connection], None] | None = None,
    ) -> Kept:
        """Let judged records stand if they are to; only within `whole`.

        `beside` writes what belongs to them in the same transaction.
        """
        standing = self.sets.standing[kind]
        plan = standing.plan(each.placed for each in arrived)
        values = {each.item.name.id: each for each in arrived}
        entering = [values[placed.name.id] for placed in plan.entering]
        refused = self._count_fallen(plan, len(arrived) - len(values))
        circle = self.membership.circle
        rows = [StoredItem(kind, each.placed, each.item.content) for each in entering]

        def write(connection: Connection) -> None:
            delete_items(connection, circle, kind, plan.leaving)
            write_items(connection, circle, rows)
            if beside is not None:
                beside(connection)

        if entering or beside is not None:
            await self.shelf.write(write)
        self.sets.carry_out(
            kind, plan, {key: each.value for key, each in values.items()}
        )
        if entering:
            self._tell(entered(kind, entering, plan, origin))
        return Kept([each.item for each in entering], refused=refused)

    async def use(
        self, membership: CircleMembership, origin: DeviceId | None = None
    ) -> Sequence[Item]:
        """Go over to a membership that knows more; only within `whole`.

        Returns the statements that others may be told.
        """
        before = self.membership
        held = before.statements
        new = [each for key, each in membership.statements.items() if key not in held]
        if not new:
            return ()
        members = frozenset(present_members(membership.roster))
        came, gone = members - self.members, self.members - members
        circle = membership.circle

        def write(connection: Connection) -> None:
            rows = [(each.hash, each.encoded) for each in new]
            write_circle_statements(connection, circle, rows)
            write_circle_keys(connection, circle, encode_circle_keys(membership.keys))

        back = await self.shelf.read(lambda each: read_items_of(each, circle, came))
        await self.shelf.write(write)
        self.membership, self.members = membership, members
        self._forget(gone)
        contributions = self.sets.load(back)
        accepted = membership.roster.hashes - before.roster.hashes
        items = [
            Item(ItemKind.STATEMENT, ItemName(0, each.hash), each.encoded)
            for each in membership.roster.statements
            if each.hash in accepted
        ]
        self._tell(
            Change(
                ItemKind.STATEMENT,
                items,
                origin,
                contributions=contributions,
                gone=gone,
                came=came,
                are_members_changed=bool(items),
            )
        )
        return items

    async def quarantine(self, identities: Collection[bytes]) -> None:
        """Let go of contributions for good; only within `whole`."""
        standing = self.sets.standing[ItemKind.CONTRIBUTION]
        found = [standing.find(identity) for identity in set(identities)]
        places = [placed for placed in found if placed is not None]
        if not places:
            return
        named = [(placed.name.id, placed.author) for placed in places]
        circle, now_ms = self.membership.circle, self.clocks.wall_ms()

        def write(connection: Connection) -> None:
            write_quarantine(connection, circle, named, now_ms, MAX_QUARANTINED)
            delete_items(connection, circle, ItemKind.CONTRIBUTION, places)

        await self.shelf.write(write)
        self.quarantined.update(named)
        for oldest in list(self.quarantined)[:-MAX_QUARANTINED]:
            del self.quarantined[oldest]
        self.passed_over.clear()
        standing.remove(placed.name.id for placed in places)
        self._tell(Change(ItemKind.CONTRIBUTION, has_lost=True))

    async def _keep_statements(
        self, contents: Sequence[bytes], origin: DeviceId | None
    ) -> Kept:
        before = self.membership
        good, refused = await asyncio.to_thread(sorted_out, before, contents)
        after, unfit = await asyncio.to_thread(before.with_received, good.values())
        refused += Counter({Refusal.STATEMENT: unfit})
        self.refusals.update(refused)
        new = await self.use(after, origin)
        for identity in good.keys() & after.roster.refused.keys():
            self._pass_over(identity)
        names = [ItemName(0, statement_hash(content)) for content in contents]
        return Kept(new, names, refused)

    def _pass_over(self, identity: bytes) -> None:
        """Remember, for some time, what need not be offered again."""
        self.passed_over[identity] = None
        if len(self.passed_over) > MAX_PASSED_OVER:
            del self.passed_over[next(iter(self.passed_over))]

    def _count_fallen(self, plan: Plan, duplicates: int) -> Counter[Refusal]:
        """Count what does not stand beside the others; it need not come again."""
        refused = Counter(Refusal(fall) for fall in plan.fallen.values())
        for identity in plan.fallen:
            self._pass_over(identity)
        refused += Counter({Refusal.DUPLICATE: duplicates})
        self.refusals.update(refused)
        return refused

    def _forget(self, gone: Iterable[AuthorKey]) -> None:
        """Let go of who is no member, and of what was decided in view of them."""
        self.passed_over.clear()
        self.sets.forget(gone)
        for allowance in self._allowances.values():
            for author in gone:
                allowance.forget(author)

    def _has_room(self, kind: ItemKind, author: AuthorKey) -> bool:
        if author == self.membership.author:
            return True
        return self._allowances[kind].take(author, self.clocks.monotonic_ms())

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        async with self._lock:
            return await work()

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody may be left

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            listener(change)
