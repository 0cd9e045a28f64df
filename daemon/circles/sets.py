"""What the members of one circle hold in common, in memory.

Rules of this file:

1. Only members have records here. What somebody wrote who is none now leaves the sets,
   on all devices that know the same statements, and comes back if that is undone.
2. Contents stay in the store, but for what is asked for all the time: cards and votes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from consensus.contribution import Contribution
from consensus.vote import Vote, Votes
from crdt.circle_card import Card
from crdt.circle_items import ItemKind
from crdt.circle_standing import Placed, Plan, Standing, StoredItem
from crdt.ids import AuthorKey
from daemon.circles.forms import FORMS, Value

RECORD_KINDS: Final = tuple(FORMS)


@dataclass(slots=True)
class Sets:
    """The records of members that stand."""

    standing: Mapping[ItemKind, Standing] = field(
        default_factory=lambda: {
            kind: Standing(form.of_an_author) for kind, form in FORMS.items()
        }
    )
    votes: Votes = field(default_factory=Votes)
    _cards: dict[bytes, Card] = field(default_factory=dict)

    def cards(self) -> Sequence[Card]:
        """Return where the devices of members are."""
        return list(self._cards.values())

    def carry_out(
        self, kind: ItemKind, plan: Plan, values: Mapping[bytes, Value]
    ) -> None:
        """Do what was planned; `values` are by id those of what enters."""
        self.standing[kind].carry_out(plan)
        self._drop_cards(plan.leaving)
        for placed in plan.entering:
            match values.get(placed.name.id):
                case Card() as card:
                    self._cards[placed.name.id] = card
                case Vote() as vote:
                    self.votes.put(vote)
                case _:
                    pass

    def load_places(self, places: Iterable[Placed]) -> None:
        """Let contributions from the store stand."""
        standing = self.standing[ItemKind.CONTRIBUTION]
        standing.carry_out(standing.plan(places))

    def load(self, stored: Iterable[StoredItem]) -> list[Contribution]:
        """Let records from the store stand; return the contributions among them."""
        contributions: list[Contribution] = []
        by_kind: dict[ItemKind, list[StoredItem]] = {}
        for each in stored:
            by_kind.setdefault(each.kind, []).append(each)
        for kind, items in by_kind.items():
            read = FORMS[kind].read
            values = {each.placed.name.id: read(each.content).value for each in items}
            plan = self.standing[kind].plan(each.placed for each in items)
            self.carry_out(kind, plan, values)
            contributions += [
                each for each in values.values() if isinstance(each, Contribution)
            ]
        return contributions

    def forget(self, authors: Iterable[AuthorKey]) -> None:
        """Let go of everything by those who are no members."""
        for author in authors:
            self._drop_cards(self.standing[ItemKind.CARD].of(author))
            self.votes.forget(author)
            for standing in self.standing.values():
                standing.forget(author)

    def _drop_cards(self, gone: Iterable[Placed]) -> None:
        for placed in gone:
            self._cards.pop(placed.name.id, None)
