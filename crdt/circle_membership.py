"""Who is in a circle, as this device knows it, and the keys that this gives it.

Specification: docs/protocol/circle-roster.md. What a statement means is
`crdt.roster`'s to say; here it is kept and applied.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from crdt.circle_keys import CircleKeys
from crdt.identity import Identity
from crdt.ids import AuthorKey, CircleId
from crdt.membership import held_of, newly_received
from crdt.roster import Roster
from crdt.roster_rules import CircleAnchor
from crdt.space_keys import EpochKey
from crdt.statement import Statement, decode_statement

MAX_BYTES_OF_STATEMENTS: Final = 64 * 1024 * 1024
"""What a circle's roster may come to; what is stated beyond it is not kept."""

CircleSaid: TypeAlias = bytes | tuple[bytes, CircleKeys]
"""What an author states, with the keys as they are then if it changes them."""


@dataclass(frozen=True, slots=True)
class CircleMembership:
    """The statements that are held, what they amount to, and the keys."""

    identity: Identity
    """The person in this circle."""
    keys: CircleKeys
    statements: Mapping[bytes, Statement]
    """By hash: those that the roster accepted, and some that wait for others."""
    roster: Roster

    @classmethod
    def of(
        cls, identity: Identity, keys: CircleKeys, statements: Iterable[Statement]
    ) -> "CircleMembership":
        """Evaluate statements and open what they seal to this person."""
        found = {statement.hash: statement for statement in statements}
        anchor = CircleAnchor(keys.circle, keys.space)
        roster = Roster.about(anchor, found.values())
        unlocked = msgspec.structs.replace(
            roster.unlock_epochs(identity, keys), present=roster.present_epoch
        )
        return cls(identity, unlocked, held_of(roster, found), roster)

    @property
    def circle(self) -> CircleId:
        """Id of the circle."""
        return self.keys.circle

    @property
    def author(self) -> AuthorKey:
        """The person's pseudonym in this circle."""
        return AuthorKey(self.identity.public_key)

    @property
    def present_epoch(self) -> EpochKey | None:
        """The epoch to seal under, or None while this device lacks its key."""
        return self.keys.present_epoch

    def after(
        self, statements: Iterable[Statement], keys: CircleKeys | None = None
    ) -> "CircleMembership":
        """Return the membership with more statements."""
        return CircleMembership.of(
            self.identity, keys or self.keys, (*self.statements.values(), *statements)
        )

    def with_received(self, encoded: Iterable[bytes]) -> tuple["CircleMembership", int]:
        """Return the membership with what others sent, and how many were refused."""
        new, refused = newly_received(self.statements, self.roster, encoded)
        room = MAX_BYTES_OF_STATEMENTS - sum(
            len(each.encoded) for each in self.statements.values()
        )
        kept = dict[bytes, Statement]()
        for name, statement in new.items():
            room -= len(statement.encoded)
            if room < 0:
                refused += 1
            else:
                kept[name] = statement
        if not kept:
            return self, refused
        after = self.after(kept.values())
        return after, refused + len(kept.keys() - after.statements.keys())

    def saying(
        self, state: Callable[[Roster, Identity, CircleKeys], CircleSaid]
    ) -> "CircleMembership":
        """Return the membership with what this person states."""
        said = state(self.roster, self.identity, self.keys)
        encoded, keys = said if isinstance(said, tuple) else (said, self.keys)
        return self.after((decode_statement(encoded),), keys)

    def statements_since(self, before: "CircleMembership") -> Sequence[bytes]:
        """Return what is new, in the order in which others may be told."""
        return [
            each.encoded
            for key, each in self.statements.items()
            if key not in before.statements
        ]
