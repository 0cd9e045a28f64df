"""What a circle's records are to devices that compare theirs: sums and names."""

from collections.abc import Sequence

from crdt.circle_items import ItemKind, ItemName, SetSum
from crdt.errors import PeerError
from crdt.statement import statement_hash
from daemon.circles.forms import FORMS
from daemon.circles.keeping import Keeping
from transport.circle_frames import SetSummary

Summaries = tuple[SetSummary, SetSummary, SetSummary, SetSummary]


class Inventory:
    """The sets of one circle, as other devices ask for them."""

    def __init__(self, keeping: Keeping) -> None:
        """Count nothing yet."""
        self._keeping = keeping
        self._statements: tuple[frozenset[bytes], SetSum] | None = None

    def summaries(self) -> Summaries:
        """Return the four sets in few bytes, in their order."""
        standing = self._keeping.sets.standing
        return (
            _summary(self._statement_sum()),
            _summary(standing[ItemKind.CARD].sum),
            _summary(standing[ItemKind.CONTRIBUTION].sum),
            _summary(standing[ItemKind.VOTE].sum),
        )

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        """Return those that are neither held nor refused for good."""
        if kind is ItemKind.STATEMENT:
            held = self._keeping.membership.statements
            return [each for each in names if each.id not in held]
        standing, bad = self._keeping.sets.standing[kind], self._keeping.quarantined
        return [
            each for each in names if each.id not in standing and each.id not in bad
        ]

    def _statement_sum(self) -> SetSum:
        hashes = self._keeping.membership.roster.hashes
        if self._statements is None or self._statements[0] is not hashes:
            total = SetSum()
            for each in hashes:
                total = total.plus(each)
            self._statements = hashes, total
        return self._statements[1]


def names_of(kind: ItemKind, contents: Sequence[bytes]) -> list[ItemName]:
    """Return the names of items, whatever else is to be said of them.

    What is no item of the kind has none.
    """
    if kind is ItemKind.STATEMENT:
        return [ItemName(0, statement_hash(each)) for each in contents]
    names: list[ItemName] = []
    for content in contents:
        try:
            names.append(FORMS[kind].read(content).placed.name)
        except PeerError:
            continue
    return names


def _summary(total: SetSum) -> SetSummary:
    return SetSummary(total.count, total.total.to_bytes(32))
