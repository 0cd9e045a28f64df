"""Statements in causal order, and which of those that contradict each other stand.

Specification: docs/protocol/roster.md, circle-roster.md. A set of statements is a whole
number with a bit for each, counted in causal order: what came before a statement, and
who contradicts it, are then found by a few operations on numbers.

Rules of conflict:

1. A removal makes void all that the removed device stated without its knowing, or
   after it; so falls also whatever needs a statement that fell.
2. Of two additions that name one client id, the later in the history's order falls.
3. Where removals void each other in a ring, that of the most junior author falls, until
   no ring is left. Senior is whose addition has fewer statements in the longest line
   before it (of several, the first by others or the last by itself, whichever is the
   earlier); of two such, the smaller device id.
4. Of more persons than a circle can have, who were invited at the same time, the most
   junior are not in it while there is no room.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from crdt.circle_rules import MAX_PERSONS, judge_in_circle
from crdt.ids import DeviceId
from crdt.keys import device_id
from crdt.roster_conflicts import NOTHING, bits, standing
from crdt.roster_rules import (
    Anchor,
    CircleAnchor,
    Fault,
    Members,
    applied,
    judge,
    readers,
)
from crdt.statement import Statement
from crdt.statement_kinds import (
    CIRCLE_CLIENT_ID,
    Add,
    Enrol,
    Epoch,
    Found,
    Leave,
    Remove,
    Rotate,
)


@dataclass(frozen=True, slots=True)
class Order:
    """A set of statements, sorted."""

    placed: list[Statement]
    waiting: frozenset[bytes]
    """Hashes of those that build on something unknown."""
    missing: frozenset[bytes]
    """Hashes of what is unknown."""


@dataclass(slots=True)
class History:
    """The accepted statements, oldest first, and how they hang together."""

    anchor: Anchor | CircleAnchor
    statements: list[Statement] = field(default_factory=list)
    place: dict[bytes, int] = field(default_factory=dict)
    """Place of each statement by its hash."""
    past: list[int] = field(default_factory=list)
    """All that comes causally before each statement."""
    depth: list[int] = field(default_factory=list)
    """How many statements the longest line before each has."""
    removals: int = NOTHING
    removed: dict[int, DeviceId] = field(default_factory=dict)
    """Whom the removal at a place removes."""
    leaves: int = NOTHING
    """Statements by which persons leave a circle."""
    added: dict[int, DeviceId] = field(default_factory=dict)
    """Whom the statement at a place adds."""
    by_author: defaultdict[DeviceId, int] = field(
        default_factory=lambda: defaultdict(int)
    )
    additions: defaultdict[DeviceId, int] = field(
        default_factory=lambda: defaultdict(int)
    )
    """Statements that make a device a member, its own enrolment among them."""
    by_client_id: defaultdict[int, int] = field(
        default_factory=lambda: defaultdict(int)
    )
    epoch_starts: defaultdict[bytes, int] = field(
        default_factory=lambda: defaultdict(int)
    )
    _members: dict[int, Members] = field(default_factory=lambda: {NOTHING: {}})

    @property
    def is_of_circle(self) -> bool:
        """Whether members are persons of a circle, not devices of a space."""
        return isinstance(self.anchor, CircleAnchor)

    @property
    def everything(self) -> int:
        """The set of all statements."""
        return (1 << len(self.statements)) - 1

    def known_to(self, hashes: Iterable[bytes]) -> int:
        """Return the statements named, with all that came before them."""
        known = NOTHING
        for place in map(self.place.__getitem__, hashes):
            known |= self.past[place] | 1 << place
        return known

    def judge(self, statement: Statement) -> Fault | None:
        """Return why a statement whose parents are accepted is not, or None."""
        past = self.known_to(statement.parents)
        members = self.members(past)

        def is_known(key_id: bytes) -> bool:
            return bool(self.epoch_starts.get(key_id, NOTHING) & past)

        if isinstance(self.anchor, CircleAnchor):
            return judge_in_circle(self.anchor, statement, members, is_known)
        return judge(self.anchor, statement, members, is_known)

    def extend(self, statements: Iterable[Statement]) -> dict[bytes, Fault]:
        """Take in what is accepted of statements in causal order; return why not."""
        refused = dict[bytes, Fault]()
        for statement in statements:
            if any(parent in refused for parent in statement.parents):
                refused[statement.hash] = Fault.REFUSED_PARENT
            elif (fault := self.judge(statement)) is not None:
                refused[statement.hash] = fault
            else:
                self._append(statement)
        return refused

    def _append(self, statement: Statement) -> None:
        place = len(self.statements)
        bit = 1 << place
        self.past.append(self.known_to(statement.parents))
        before = (self.depth[self.place[parent]] for parent in statement.parents)
        self.depth.append(1 + max(before, default=-1))
        self.statements.append(statement)
        self.place[statement.hash] = place
        self.by_author[statement.author] |= bit
        match statement.body:
            case Enrol(client_id=client_id):
                self._note_addition(place, statement.author, client_id)
            case Add(public_key=public_key, client_id=client_id):
                self._note_addition(place, device_id(public_key), client_id)
            case Leave():
                self.leaves |= bit
            case Found():
                self._note_addition(place, statement.author, CIRCLE_CLIENT_ID)
            case Remove(device=device):
                self.removals |= bit
                self.removed[place] = DeviceId(device)
            case _:
                pass
        epoch = begun_by(statement)
        if epoch is not None:
            self.epoch_starts[epoch.id] |= bit

    def _note_addition(self, place: int, device: DeviceId, client_id: int) -> None:
        self.added[place] = device
        self.additions[device] |= 1 << place
        if not self.is_of_circle:
            self.by_client_id[client_id] |= 1 << place

    def members(self, among: int) -> Members:
        """Return who is in the roster to somebody who knows `among`, a closed set."""
        found = self._members.get(among)
        if found is None:
            newest = among.bit_length() - 1
            before = self.past[newest]
            if among == before | 1 << newest and not self._may_let_in(newest, among):
                # Nothing contradicts a statement that knows all others.
                known = self.members(before)
                found = applied(known, (self.statements[newest],))
            else:
                standing = self.standing(among)
                fallen = self._remembered(standing, among ^ standing)
                found = applied({}, self.pick(standing), self.pick(fallen))
            self._members[among] = found
        return found

    def _remembered(self, standing: int, fallen: int) -> int:
        """Return the statements that fell whose newcomers are members nevertheless.

        A person is the same for ever in a circle and may be invited again, unless they
        left or one who may has removed them.
        """
        if not self.is_of_circle:
            return fallen
        gone = {self.removed[place] for place in bits(standing & self.removals)}
        gone |= {each.author for each in self.pick(standing & self.leaves)}
        return sum(
            1 << place for place in bits(fallen) if self.added.get(place) in gone
        )

    def _may_overflow(self, among: int) -> bool:
        """Whether more may be in a circle than it can have."""
        if not self.is_of_circle:
            return False
        additions = sum(1 for each in self.additions.values() if each & among)
        return additions > MAX_PERSONS

    def _may_let_in(self, place: int, among: int) -> bool:
        """Whether the statement at a place may make room for others in a circle."""
        body = self.statements[place].body
        return isinstance(body, Leave | Remove) and self._may_overflow(among)

    def _surplus(self, stands: int, among: int) -> int:
        """Return the additions of those for whom the circle has no room."""
        if not self._may_overflow(among):
            return NOTHING
        present = readers(applied({}, self.pick(stands)))
        ranked = sorted(present, key=lambda each: self.seniority(each, stands))
        surplus = NOTHING
        for device in ranked[MAX_PERSONS:]:
            surplus |= self.additions[device] & among
        return surplus

    def standing(self, among: int) -> int:
        """Return those of `among` that stand to somebody who knows just these."""
        attackers = self._attackers(among)
        if not attackers and not self._may_overflow(among):
            return among

        def most_junior(ring: int) -> int:
            return max(
                bits(ring & self.removals),
                key=lambda place: (
                    self.seniority(self.statements[place].author, among),
                    place,
                ),
            )

        while True:
            stands = standing(among, attackers, self._needs, most_junior)
            surplus = self._surplus(stands, among)
            if not surplus:
                return stands
            for place in bits(surplus):
                # What founds the circle always stands, so it can stand against them.
                attackers[place] = attackers.get(place, NOTHING) | 1

    def seniority(self, device: DeviceId, among: int) -> tuple[int, DeviceId]:
        """Return what sorts devices in `among` by age, senior first."""
        additions = self.additions[device] & among
        own = [self.depth[place] for place in bits(additions & self.by_author[device])]
        others = [
            self.depth[place] for place in bits(additions & ~self.by_author[device])
        ]
        # It alone chooses where its own enrolments stand, so the last of them counts.
        return min([max(own), *others] if own else others), device

    def pick(self, places: int) -> list[Statement]:
        """Return the statements at places, in causal order."""
        return [self.statements[place] for place in bits(places)]

    def _needs(self, place: int) -> int:
        """Return the statements one of which has to stand for this one to stand."""
        statement = self.statements[place]
        if isinstance(statement.body, Enrol | Leave):
            return NOTHING  # leaving counts whatever becomes of the inviter
        return self.additions[statement.author] & self.past[place]

    def _attackers(self, among: int) -> dict[int, int]:
        """Return, by place, the statements that would each make that one void."""
        found = defaultdict[int, int](int)
        for removal in bits(self.removals & among):
            removed = self.removed[removal]
            for place in bits(self.by_author[removed] & among & ~self.past[removal]):
                found[place] |= 1 << removal
        for same in self.by_client_id.values():
            for place in bits(same & among):
                for other in bits(same & among & ((1 << place) - 1)):
                    if self.added[other] != self.added[place]:
                        found[place] |= 1 << other
        return found


def begun_by(statement: Statement) -> Epoch | None:
    """Return the epoch that a statement begins, or None."""
    body = statement.body
    return body.epoch if isinstance(body, Enrol | Remove | Rotate | Found) else None


def in_causal_order(statements: Iterable[Statement]) -> Order:
    """Return each statement once, after all that it names, and which have to wait.

    Of two that may stand in either order, that with the shorter longest line of
    statements before it comes first, then that with the smaller hash: so the order of
    any two is the same in every set.
    """
    unplaced = {statement.hash: statement for statement in statements}
    waited_for = defaultdict[bytes, list[Statement]](list)
    lacking = dict[bytes, int]()
    for statement in unplaced.values():
        lacking[statement.hash] = len(statement.parents)
        for parent in statement.parents:
            waited_for[parent].append(statement)
    placed = list[Statement]()
    layer = [each for each in unplaced.values() if not each.parents]
    while layer:
        layer.sort(key=lambda each: each.hash)
        placed += layer
        following = list[Statement]()
        for statement in layer:
            del unplaced[statement.hash]
            for child in waited_for[statement.hash]:
                lacking[child.hash] -= 1
                if not lacking[child.hash]:
                    following.append(child)
        layer = following
    missing = {
        parent
        for statement in unplaced.values()
        for parent in statement.parents
        if parent not in unplaced
    } - {statement.hash for statement in placed}
    return Order(placed, frozenset(unplaced), frozenset(missing))
