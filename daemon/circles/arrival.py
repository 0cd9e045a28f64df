"""Whether a record that came in is taken: the checks, cheapest first.

Rules of this file:

1. Size, form, whether it is known, membership, signature: in this order, so that who
   sends rubbish costs little.
2. Only form, membership and signature decide what belongs to a circle's sets. That a
   record is known, replaced, or too much now says nothing against whoever sent it.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from consensus.errors import InvalidRecordError
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_standing import Placed, Standing
from crdt.errors import ForgedError, MalformedError
from crdt.ids import AuthorKey, CircleId
from daemon.circles.forms import FORMS, Value, Written
from daemon.circles.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record that may stand, for all that it says itself."""

    item: Item
    placed: Placed
    value: Value


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is not taken."""

    reason: Refusal
    name: ItemName | None = None
    """None if it cannot be told."""


Judgement: TypeAlias = Arrived | Refused


@dataclass(frozen=True, slots=True)
class Gate:
    """What records of one kind are judged by."""

    circle: CircleId
    kind: ItemKind
    standing: Standing
    members: Container[AuthorKey]
    quarantined: Container[bytes]
    """Ids of records that are not to be taken."""

    def judge_all(self, contents: Iterable[bytes]) -> list[Judgement]:
        """Return what becomes of each record, as if it were the only one."""
        return [self.judge(content) for content in contents]

    def judge(self, content: bytes) -> Judgement:
        """Return a record that may come to stand, or why it does not."""
        form = FORMS[self.kind]
        if len(content) > form.most_bytes:
            return Refused(Refusal.SIZE)
        try:
            written = form.read(content)
        except InvalidRecordError as error:
            return Refused(Refusal(error.fault))
        except MalformedError:
            return Refused(Refusal.FORM)
        placed = written.placed
        reason = self._fault(written)
        if reason is not None:
            return Refused(reason, placed.name)
        item = Item(self.kind, placed.name, content)
        return Arrived(item, placed, written.value)

    def _fault(self, written: Written) -> Refusal | None:
        placed = written.placed
        if written.circle != self.circle:
            return Refusal.CIRCLE
        if placed.name.id in self.quarantined:
            return Refusal.QUARANTINED
        fall = self.standing.fall_of(placed)
        if fall is not None:
            return Refusal(fall)
        if placed.author not in self.members:
            return Refusal.AUTHOR
        try:
            written.verify()
        except ForgedError:
            return Refusal.SIGNATURE
        return None
