"""Consensus that follows each record: equal to the whole rule after every operation.

Specification: docs/protocol/consensus.md. Rules of this file:

1. What stands follows from the records alone; what is near whom is kept up with every
   record; groups and nodes are worked out when somebody asks.
2. Whatever is kept would come out the same if it were worked out from nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from consensus.contribution import Author, Contribution
from consensus.field import Field, Step
from consensus.groups import Groups
from consensus.holding import Change, Holding
from consensus.invitations import InviteTree
from consensus.neighbours import Neighbours
from consensus.nodes import Nodes
from consensus.result import ConsensusNode, Result, result_of
from consensus.rule import Preset
from consensus.stars import Stars

_MANY: Final = 64
"""From so many records on that come together, all is worked out from nothing if that
is less work."""
_TOGETHER: Final = 8
"""So many records one by one take about as long as all once, for as many there are."""


class Resonance:
    """The consensus of one circle on one device."""

    def __init__(
        self, circle: bytes, preset: Preset, step: Step = lambda: None
    ) -> None:
        """Call `step` now and then; after it has raised, begin again from nothing."""
        self._circle = circle
        self._preset = preset
        self._step = step
        self._models: dict[bytes, _OneModel] = {}
        self.holding: Final = Holding()

    def put(self, records: Iterable[Contribution]) -> None:
        """Take in valid records of this circle whose authors are members."""
        self._follow([self.holding.put(record) for record in records])

    def drop(self, records: Iterable[Contribution]) -> None:
        """Let go of records that this device does not hold any more."""
        self._follow([self.holding.drop(record) for record in records])

    def forget(self, author: Author) -> None:
        """Let go of somebody who is no longer a member."""
        self._follow([self.holding.forget(author)])

    def nearest(
        self,
        vector: bytes,
        model: bytes,
        limit: int,
        but_not_by: Author | None = None,
    ) -> list[tuple[Contribution, int]]:
        """Return what is nearest to a vector by `model`, in basis points, best first.

        Of equally near ones the smaller id comes first.
        """
        known = self._models.get(model)
        return [] if known is None else known.nearest(vector, limit, but_not_by)

    def result(self, invitations: InviteTree) -> Result:
        """Return the consensus of what stands now."""
        found: list[ConsensusNode] = []
        for model in self._models.values():
            found += model.nodes(invitations)
        return result_of(found)

    def _follow(self, changes: Iterable[Change]) -> None:
        entering: defaultdict[bytes, dict[bytes, Contribution]] = defaultdict(dict)
        leaving: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for change in changes:
            for each in change.leaving:
                if entering[each.model].pop(each.id, None) is None:
                    leaving[each.model].add(each.id)
            for each in change.entering:
                if each.id in leaving[each.model]:
                    leaving[each.model].discard(each.id)
                else:
                    entering[each.model][each.id] = each
        for tag in entering.keys() | leaving.keys():
            model = self._models.get(tag)
            if model is None:
                model = self._models[tag] = _OneModel(
                    self._circle, self._preset, self._step
                )
            model.change(list(entering[tag].values()), leaving[tag])
            if model.is_empty:
                del self._models[tag]


class _OneModel:
    """The contributions whose vectors one model made."""

    def __init__(self, circle: bytes, preset: Preset, step: Step) -> None:
        self._circle = circle
        self._preset = preset
        self._step = step
        self._begin(Field(step=step))

    @property
    def is_empty(self) -> bool:
        """Whether nothing takes part."""
        return self._field.gone == len(self._field)

    def change(self, entering: list[Contribution], leaving: set[bytes]) -> None:
        """Let some take part and others no longer."""
        field = self._field
        there = len(field) - field.gone
        moving = len(entering) + len(leaving)
        is_much = moving > max(_MANY, there // _TOGETHER)
        if is_much or field.gone + len(leaving) > max(_MANY, there):
            staying = (
                each
                for each, is_here in zip(
                    field.contributions, field.is_here, strict=True
                )
                if is_here and each.id not in leaving
            )
            self._begin(Field([*staying, *entering], self._step))
            return
        for id_ in leaving:
            self._step()
            number = field.remove(id_)
            self._neighbours.remove(number)
            self._stars.remove(number)
        for each in entering:
            self._step()
            number = field.add(each)
            self._neighbours.add(number)
            self._stars.add(number)

    def nearest(
        self, vector: bytes, limit: int, but_not_by: Author | None
    ) -> list[tuple[Contribution, int]]:
        """Return what is nearest to a vector."""
        return self._field.nearest(vector, limit, but_not_by)

    def nodes(self, invitations: InviteTree) -> Iterable[ConsensusNode]:
        """Return the nodes of this model."""
        groups, joined = self._groups.present()
        return self._nodes.present(groups, joined, invitations)

    def _begin(self, field: Field) -> None:
        """Work everything out from nothing."""
        thresholds = self._preset.value
        self._field = field
        self._neighbours = Neighbours(field, thresholds.star)
        self._stars = Stars(field, self._neighbours)
        self._groups = Groups(field, self._neighbours, self._stars, thresholds)
        self._nodes = Nodes(field, self._circle, self._preset)
