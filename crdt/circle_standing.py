"""Which records of a circle stand, so that all members come to hold the same set.

Specification: docs/protocol/circle-items.md. Rules of this file:

1. Of one author and slot the record of the larger sequence stands, of equal ones the
   one of the smaller id; of an author, the so many newest of these. Both can be told in
   any order and from any parts: sets that were joined are equal, however they came.
2. A plan changes nothing: memory follows when the plan is durable.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from crdt.circle_items import ItemKind, ItemName, SetSum
from crdt.ids import AuthorKey

_Slots: TypeAlias = Mapping[bytes, "Placed"]


class Fallen(StrEnum):
    """Why a record does not come to stand; the value is what it is counted by."""

    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    BEYOND_BOUND = "beyond_bound"
    """Its author has as many newer ones as are kept."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What of a record decides whether it stands."""

    author: AuthorKey
    slot: bytes
    """What a newer record replaces: a device, a reference, a consensus node."""
    sequence: int
    name: ItemName

    @property
    def rank(self) -> tuple[int, bytes]:
        """Its place among the records of its author, the newest first."""
        return -self.sequence, self.name.id


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A record and where it stands."""

    kind: ItemKind
    placed: Placed
    content: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What records would change."""

    entering: Sequence[Placed]
    leaving: Sequence[Placed]
    """What is replaced, or is no longer among the newest of its author."""
    fallen: Mapping[bytes, Fallen]
    """By id, the records that would not stand."""


class Standing:
    """The records of one kind that stand: a map that merges."""

    def __init__(self, most_of_an_author: int) -> None:
        self._most = most_of_an_author
        self._slots: dict[AuthorKey, dict[bytes, Placed]] = {}
        self._by_id: dict[bytes, Placed] = {}
        self._sum = SetSum()
        self._names: list[ItemName] = []
        self._are_names_stale = False

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, identity: object) -> bool:
        return identity in self._by_id

    def __iter__(self) -> Iterator[Placed]:
        return iter(self._by_id.values())

    @property
    def sum(self) -> SetSum:
        """The sum over the ids, which is equal for equal sets."""
        return self._sum

    def names(self) -> Sequence[ItemName]:
        """Return a snapshot of all names, sorted; nobody changes it."""
        if self._are_names_stale:
            names = [each.name for each in self._by_id.values()]
            names.sort(key=_sort_key)
            self._names = names
            self._are_names_stale = False
        return self._names

    def find(self, identity: bytes) -> Placed | None:
        """Return the record with an id."""
        return self._by_id.get(identity)

    def at(self, author: AuthorKey, slot: bytes) -> Placed | None:
        """Return the record that stands in a slot of an author."""
        return self._slots.get(author, {}).get(slot)

    def of(self, author: AuthorKey) -> Collection[Placed]:
        """Return the records of an author."""
        return self._slots.get(author, {}).values()

    def largest_sequence(self, author: AuthorKey) -> int:
        """Return the largest sequence of an author, 0 if there is none."""
        return max((each.sequence for each in self.of(author)), default=0)

    def fall_of(self, placed: Placed) -> Fallen | None:
        """Return why a record would not stand beside those that do, or None."""
        if placed.name.id in self._by_id:
            return Fallen.DUPLICATE
        slots = self._slots.get(placed.author, {})
        former = slots.get(placed.slot)
        if former is not None and former.rank < placed.rank:
            return Fallen.SUPERSEDED
        if former is None and len(slots) >= self._most:
            last = max(each.rank for each in slots.values())
            return Fallen.BEYOND_BOUND if last < placed.rank else None
        return None

    def plan(self, records: Iterable[Placed]) -> Plan:
        """Return what would change if `records` came in."""
        fallen: dict[bytes, Fallen] = {}
        changed: dict[AuthorKey, dict[bytes, Placed]] = {}
        for placed in records:
            fall = self.fall_of(placed)
            if fall is not None:
                fallen[placed.name.id] = fall
                continue
            slots = changed.setdefault(placed.author, {})
            other = slots.setdefault(placed.slot, placed)
            if other.name != placed.name:
                slots[placed.slot], worse = sorted((placed, other), key=_rank)
                fallen[worse.name.id] = Fallen.SUPERSEDED
        entering: list[Placed] = []
        leaving: list[Placed] = []
        for author, slots in changed.items():
            self._plan_author(author, slots, entering, leaving, fallen)
        return Plan(entering, leaving, fallen)

    def carry_out(self, plan: Plan) -> None:
        """Do what was planned; nothing else was done meanwhile."""
        self._remove(plan.leaving)
        for placed in plan.entering:
            self._slots.setdefault(placed.author, {})[placed.slot] = placed
            self._by_id[placed.name.id] = placed
            self._sum = self._sum.plus(placed.name.id)
            self._are_names_stale = True

    def remove(self, identities: Iterable[bytes]) -> Sequence[Placed]:
        """Let go of records whatever stands in their slots; return which there were."""
        found = (self._by_id.get(identity) for identity in set(identities))
        gone = [placed for placed in found if placed is not None]
        self._remove(gone)
        return gone

    def forget(self, author: AuthorKey) -> int:
        """Let go of all records of an author; return how many there were."""
        gone = list(self.of(author))
        self._remove(gone)
        return len(gone)

    def _plan_author(
        self,
        author: AuthorKey,
        new: _Slots,
        entering: list[Placed],
        leaving: list[Placed],
        fallen: dict[bytes, Fallen],
    ) -> None:
        """Add what the records of one author change, one to a slot."""
        held = self._slots.get(author, {})
        kept = list({**held, **new}.values())
        if len(kept) > self._most:
            kept = sorted(kept, key=_rank)[: self._most]
        stand = {placed.name.id for placed in kept}
        for placed in new.values():
            if placed.name.id in stand:
                entering.append(placed)
            else:
                fallen[placed.name.id] = Fallen.BEYOND_BOUND
        leaving += [each for each in held.values() if each.name.id not in stand]

    def _remove(self, gone: Iterable[Placed]) -> None:
        for placed in gone:
            slots = self._slots[placed.author]
            del slots[placed.slot]
            if not slots:
                del self._slots[placed.author]
            del self._by_id[placed.name.id]
            self._sum = self._sum.minus(placed.name.id)
            self._are_names_stale = True


def _rank(placed: Placed) -> tuple[int, bytes]:
    return placed.rank


def _sort_key(name: ItemName) -> tuple[int, bytes]:
    return name.epoch, name.id
