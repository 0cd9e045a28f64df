"""What became of a circle's sets, as those who watch it are told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from consensus.contribution import Contribution
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_standing import Plan
from crdt.ids import AuthorKey, DeviceId
from daemon.circles.arrival import Arrived
from daemon.circles.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of records that came in; what is new is durable."""

    new: Sequence[Item] = ()
    names: Sequence[ItemName] = ()
    """Of all that came in and has a name, whatever became of it."""
    refused: Counter[Refusal] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Change:
    """What is different from before: durable, and in memory."""

    kind: ItemKind
    new: Sequence[Item] = ()
    """To be handed on."""
    origin: DeviceId | None = None
    """Which device of the circle brought it; None if it was made here."""
    contributions: Sequence[Contribution] = ()
    """Those that are new, retractions too."""
    gone: frozenset[AuthorKey] = frozenset()
    """Who is no longer a member: nothing of theirs stands any more."""
    came: frozenset[AuthorKey] = frozenset()
    """Who is a member from now on."""
    has_lost: bool = False
    """Whether contributions stand no longer that were not replaced: read anew."""
    are_members_changed: bool = False
    """Whether anything is different in who belongs to the circle, and how they came."""


def entered(
    kind: ItemKind,
    entering: Sequence[Arrived],
    plan: Plan,
    origin: DeviceId | None,
) -> Change:
    """Return what is different after a plan by which these records came in."""
    contributions = [
        each.value for each in entering if isinstance(each.value, Contribution)
    ]
    slots = {(placed.author, placed.slot) for placed in plan.entering}
    lost = [each for each in plan.leaving if (each.author, each.slot) not in slots]
    return Change(
        kind,
        [each.item for each in entering],
        origin,
        contributions,
        has_lost=bool(lost) and kind is ItemKind.CONTRIBUTION,
    )
