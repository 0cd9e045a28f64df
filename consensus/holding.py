"""Which records of a circle stand, and which of these take part.

Specification: docs/protocol/consensus.md. Rules of this file:

1. Of one author and reference the record of the larger sequence stands, of equal ones
   the one of the smaller id: in whatever order, however often records arrive.
2. Of an author's live records the 500 newest take part. This is the rule's, not a
   device's: all devices leave out the same ones.
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from consensus.contribution import Author, Contribution, Reference
from consensus.rule import QUOTA

_Standing: TypeAlias = tuple[int, bytes, Contribution]
"""By what the live records of an author are in order, the newest first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What takes part from now on, and what does no longer."""

    entering: tuple[Contribution, ...] = ()
    leaving: tuple[Contribution, ...] = ()


NOTHING = Change()


class Holding:
    """The records of one circle: a map that merges."""

    def __init__(self) -> None:
        self._standing: dict[Author, dict[Reference, Contribution]] = {}
        self._live: dict[Author, list[_Standing]] = {}

    def __iter__(self) -> Iterator[Contribution]:
        """Yield every record that stands, retractions too."""
        for records in self._standing.values():
            yield from records.values()

    def authors(self) -> set[Author]:
        """Return whose records are held."""
        return set(self._standing)

    def largest_sequence(self, author: Author) -> int:
        """Return the largest sequence of an author, 0 if there is none."""
        records = self._standing.get(author, {}).values()
        return max((each.sequence for each in records), default=0)

    def taking_part(self) -> Iterator[Contribution]:
        """Yield the live records within their authors' quotas."""
        for records in self._live.values():
            yield from (each for _, _, each in records[:QUOTA])

    def put(self, record: Contribution) -> Change:
        """Let a record stand if it is to; return what that changes for the result."""
        records = self._standing.setdefault(record.author, {})
        former = records.get(record.reference)
        if former is not None and not _replaces(record, former):
            return NOTHING
        records[record.reference] = record
        live = self._live.setdefault(record.author, [])
        before = live[:QUOTA] if len(live) >= QUOTA else None
        if former is not None and former.is_live:
            live.remove(_place(former))
        if record.is_live:
            insort(live, _place(record))
        if before is not None:
            return _difference(before, live[:QUOTA])
        return Change(
            entering=(record,) if record.is_live else (),
            leaving=(former,) if former is not None and former.is_live else (),
        )

    def drop(self, record: Contribution) -> Change:
        """Let go of a record that is not held any more, if it stands."""
        records = self._standing.get(record.author, {})
        former = records.get(record.reference)
        if former is None or former.id != record.id:
            return NOTHING
        del records[record.reference]
        if not former.is_live:
            return NOTHING
        live = self._live[record.author]
        before = live[:QUOTA]
        live.remove(_place(former))
        return _difference(before, live[:QUOTA])

    def forget(self, author: Author) -> Change:
        """Let go of all records of somebody who is no longer a member."""
        self._standing.pop(author, None)
        return _difference(self._live.pop(author, [])[:QUOTA], [])


def _replaces(record: Contribution, former: Contribution) -> bool:
    return (-record.sequence, record.id) < (-former.sequence, former.id)


def _place(record: Contribution) -> _Standing:
    # No two records have one id, so that they themselves are never compared.
    return -record.sequence, record.id, record


def _difference(before: list[_Standing], after: list[_Standing]) -> Change:
    old = {place[1]: place[2] for place in before}
    new = {place[1]: place[2] for place in after}
    return Change(
        entering=tuple(each for id_, each in new.items() if id_ not in old),
        leaving=tuple(each for id_, each in old.items() if id_ not in new),
    )
