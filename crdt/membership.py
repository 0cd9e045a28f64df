"""Who belongs to the space, as this device knows it, and the keys that this gives it.

Rules of this file:
1. What a statement means is `crdt.roster`'s to say; here it is kept and applied.
2. What one device acknowledged is nowhere refused: who holds more of a removed device
   than its removal accepts says so at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from crdt.chain import ChainHead
from crdt.errors import PeerError
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.roster import Roster
from crdt.roster_writing import enrol, extend_cut, found
from crdt.space_keys import SpaceKeys
from crdt.statement import Statement, decode_statement, statement_hash

MAX_WAITING: Final = 512
"""Statements that are kept while those that they build on are missing."""

Said: TypeAlias = bytes | tuple[bytes, SpaceKeys]
"""What an author states, with the keys as they are then if it changes them."""


@dataclass(frozen=True, slots=True)
class RosterChange:
    """What came of statements."""

    roster: Roster
    statements: Sequence[bytes]
    """Those that are new here, in the order in which others may be told."""
    refused: int
    """How many were not taken: malformed, forged, of another space, or too many."""
    has_new_keys: bool
    """Whether envelopes that were refused for want of a key may open now."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The statements that are held, what they amount to, and the keys."""

    identity: Identity
    keys: SpaceKeys
    statements: Mapping[bytes, Statement]
    """By hash: those that the roster accepted, and some that wait for others."""
    roster: Roster

    @classmethod
    def of(
        cls, identity: Identity, keys: SpaceKeys, statements: Iterable[Statement]
    ) -> "Membership":
        """Evaluate statements and open what they seal to this device."""
        found = {statement.hash: statement for statement in statements}
        roster = Roster.of(keys.space, identity.person_public_key, found.values())
        held = held_of(roster, found)
        return cls(identity, roster.unlock_epochs(identity, keys), held, roster)

    @property
    def readers(self) -> frozenset[DeviceId]:
        """The other devices that read this space."""
        return frozenset(
            device
            for device, member in self.roster.members.items()
            if member.may_read and device != self.identity.device
        )

    @property
    def device_clients(self) -> frozenset[int]:
        """The Yjs client ids of all devices, removed ones too."""
        known = (member.client_id for member in self.roster.members.values())
        return frozenset({self.identity.client_id, *known})

    def with_own(self) -> "Membership":
        """Return the membership with this device in it, by its person's word."""
        if not self.identity.enrolment or self.roster.member(self.identity.device):
            return self
        if not self.statements:
            return self.saying(lambda _, identity, keys: found(identity, keys))
        return self.saying(lambda roster, identity, _: enrol(roster, identity))

    def after(
        self, statements: Iterable[Statement], keys: SpaceKeys | None = None
    ) -> "Membership":
        """Return the membership with more statements."""
        return Membership.of(
            self.identity, keys or self.keys, (*self.statements.values(), *statements)
        )

    def with_received(self, encoded: Iterable[bytes]) -> tuple["Membership", int]:
        """Return the membership with what others sent, and how many were refused."""
        new, refused = newly_received(self.statements, self.roster, encoded)
        if not new:
            return self, refused
        after = self.after(new.values())
        refused += len(new.keys() - after.statements.keys())
        return after, refused

    def with_cuts(self, heads: Mapping[DeviceId, ChainHead]) -> "Membership":
        """Return the membership in which nothing that is held is beyond a cut."""
        membership = self
        for device, head in heads.items():
            member = self.roster.member(device)
            own = membership.roster.member(self.identity.device)
            if member is None or own is None or not own.may_write:
                continue
            cut = member.accepted_through
            if cut is not None and cut < head.sequence:
                statement = extend_cut(membership.roster, self.identity, device, head)
                membership = membership.after((decode_statement(statement),))
        return membership

    def saying(
        self, state: Callable[[Roster, Identity, SpaceKeys], Said]
    ) -> "Membership":
        """Return the membership with what this device states."""
        said = state(self.roster, self.identity, self.keys)
        encoded, keys = said if isinstance(said, tuple) else (said, self.keys)
        return self.after((decode_statement(encoded),), keys)

    def change_since(self, before: "Membership", refused: int = 0) -> RosterChange:
        """Return what is new in comparison with an earlier membership."""
        new = self.statements.keys() - before.statements.keys()
        return RosterChange(
            self.roster,
            [each.encoded for key, each in self.statements.items() if key in new],
            refused,
            self.keys.epochs != before.keys.epochs,
        )


def held_of(
    roster: Roster, statements: Mapping[bytes, Statement]
) -> dict[bytes, Statement]:
    """Return, by hash, the accepted statements and as many waiting ones as are kept."""
    waiting = [statements[each] for each in sorted(roster.waiting)[:MAX_WAITING]]
    return {each.hash: each for each in (*roster.statements, *waiting)}


def newly_received(
    held: Mapping[bytes, Statement], roster: Roster, encoded: Iterable[bytes]
) -> tuple[dict[bytes, Statement], int]:
    """Return, by hash, what decodes and is new, and how many were refused."""
    new = dict[bytes, Statement]()
    refused = 0
    for each in encoded:
        if statement_hash(each) in held:
            continue
        try:
            statement = decode_statement(each)
        except PeerError:
            refused += 1
            continue
        if roster.has_room_for(statement):
            new[statement.hash] = statement
        else:
            refused += 1
    return new, refused
