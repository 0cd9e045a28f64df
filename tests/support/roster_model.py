"""The rules of docs/protocol/roster.md once more, as plainly as they can be said.

Those of circle-roster.md, too, but for how many persons a circle can have. Sets of
statements, recursion and no shortcuts: slow, and written to be compared.
"""

from dataclasses import dataclass, field

from crdt.circle_rules import judge_in_circle
from crdt.ids import DeviceId
from crdt.keys import device_id
from crdt.roster_rules import Anchor, CircleAnchor, Members, applied, judge
from crdt.statement import Statement
from crdt.statement_kinds import Add, Enrol, Found, Leave, Remove, Rotate

Known = frozenset[Statement]
Rank = tuple[int, DeviceId]


@dataclass
class Model:
    """What follows from sets of accepted statements."""

    anchor: Anchor | CircleAnchor
    by_hash: dict[bytes, Statement] = field(default_factory=dict)
    _members: dict[Known, Members] = field(default_factory=dict)

    def accept(self, statements: list[Statement]) -> Known:
        """Return those that are accepted, given in causal order."""
        accepted = set[Statement]()
        for statement in statements:
            self.by_hash[statement.hash] = statement
            parents = {self.by_hash.get(parent) for parent in statement.parents}
            if parents <= accepted:
                past = self.past(statement)
                epochs = {key_id for each in past for key_id in begun(each)}
                members = self.members(past)
                if self._is_right(statement, members, epochs):
                    accepted.add(statement)
        return frozenset(accepted)

    def past(self, statement: Statement) -> Known:
        """Return all that comes causally before."""
        past = set[Statement]()
        for parent in statement.parents:
            past |= {self.by_hash[parent]} | self.past(self.by_hash[parent])
        return frozenset(past)

    def depth(self, statement: Statement) -> int:
        """Return how many statements the longest line before has."""
        parents = (self.by_hash[parent] for parent in statement.parents)
        return max((1 + self.depth(parent) for parent in parents), default=0)

    def order(self, statement: Statement) -> tuple[int, bytes]:
        """Return what sorts statements."""
        return self.depth(statement), statement.hash

    def members(self, known: Known) -> Members:
        """Return who is in the roster to somebody who knows these."""
        if known not in self._members:
            stand = self.standing(known)
            fallen = known - stand
            if isinstance(self.anchor, CircleAnchor):
                gone = {e.body.device for e in stand if isinstance(e.body, Remove)}
                gone |= {e.author for e in stand if isinstance(e.body, Leave)}
                fallen = frozenset(each for each in fallen if added(each) in gone)
            self._members[known] = applied(
                {}, sorted(stand, key=self.order), sorted(fallen, key=self.order)
            )
        return self._members[known]

    def standing(self, known: Known) -> Known:
        """Return those that stand."""
        attacks = {(a, b) for a in known for b in known if self.makes_void(a, b)}
        helps = {
            (a, b)
            for b in known
            if not isinstance(b.body, Enrol | Found | Leave)
            for a in self.past(b)
            if added(a) == b.author
        }
        standing, fallen = set[Statement](), set[Statement]()
        while standing | fallen != known:
            settled = len(standing | fallen)
            for each in known - standing - fallen:
                attackers = {a for a, b in attacks if b is each}
                helpers = {a for a, b in helps if b is each}
                if attackers & standing or (helpers and helpers <= fallen):
                    fallen.add(each)
                elif attackers <= fallen and (not helpers or helpers & standing):
                    standing.add(each)
            if len(standing | fallen) == settled:
                undecided = known - standing - fallen
                fallen.add(self._yielding(undecided, attacks | helps, known))
        return frozenset(standing)

    def makes_void(self, one: Statement, other: Statement) -> bool:
        """Whether `other` has no effect if `one` stands."""
        if isinstance(one.body, Remove):
            return other.author == one.body.device and other not in self.past(one)
        mine, theirs = one.body, other.body
        return (
            isinstance(self.anchor, Anchor)
            and isinstance(mine, Enrol | Add)
            and isinstance(theirs, Enrol | Add)
            and mine.client_id == theirs.client_id
            and added(one) != added(other)
            and self.order(one) < self.order(other)
        )

    def rank(self, device: DeviceId, known: Known) -> Rank:
        """Return what sorts devices, senior first."""
        additions = [each for each in known if added(each) == device]
        own = [self.depth(each) for each in additions if each.author == device]
        others = [self.depth(each) for each in additions if each.author != device]
        return min([*others, *([max(own)] if own else [])]), device

    def _is_right(
        self, statement: Statement, members: Members, epochs: set[bytes]
    ) -> bool:
        is_known = epochs.__contains__
        if isinstance(self.anchor, CircleAnchor):
            fault = judge_in_circle(self.anchor, statement, members, is_known)
        else:
            fault = judge(self.anchor, statement, members, is_known)
        return fault is None

    def _yielding(
        self,
        undecided: Known,
        edges: set[tuple[Statement, Statement]],
        known: Known,
    ) -> Statement:
        """Return the most junior removal of a ring that hangs on nothing else."""
        hangs = {
            each: {a for a, b in edges if b is each} & undecided for each in undecided
        }
        for middle in undecided:
            for each in undecided:
                if middle in hangs[each]:
                    hangs[each] |= hangs[middle]
        rings = [
            ring
            for ring in {frozenset(reached) for reached in hangs.values()}
            if all(hangs[each] == ring for each in ring)
        ]
        ring = min(rings, key=lambda ring: (len(ring), max(map(self.order, ring))))
        removals = [each for each in ring if isinstance(each.body, Remove)]
        return max(
            removals,
            key=lambda each: (self.rank(each.author, known), self.order(each)),
        )


def added(statement: Statement) -> DeviceId | None:
    """Return whom a statement adds."""
    match statement.body:
        case Enrol() | Found():
            return statement.author
        case Add(public_key=public_key):
            return device_id(public_key)
        case _:
            return None


def begun(statement: Statement) -> set[bytes]:
    """Return the id of the epoch that a statement begins, if it does."""
    match statement.body:
        case Enrol(epoch=epoch):
            return set() if epoch is None else {epoch.id}
        case Remove(epoch=epoch) | Rotate(epoch=epoch) | Found(epoch=epoch):
            return {epoch.id}
        case _:
            return set()
