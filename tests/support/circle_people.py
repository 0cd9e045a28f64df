"""Persons of a circle, for tests: each with what they have heard."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Final, Self

from crdt.circle_duties import duties, fulfilled
from crdt.circle_keys import CircleIdentity, CircleKeys, circle_identity, no_circle_keys
from crdt.circle_membership import CircleMembership, CircleSaid
from crdt.circle_roster import (
    apply_to_circle,
    decode_founding,
    found_circle,
    grant,
    invite,
    leave,
    remove_person,
    rename,
    rotate,
    vouch,
)
from crdt.envelope import NO_HASH
from crdt.identity import Identity, new_paired_identity
from crdt.ids import AuthorKey, CircleId, DeviceId, SpaceId
from crdt.keys import person_keys
from crdt.roster import Roster
from crdt.roster_epochs import seal_epoch_key
from crdt.roster_rules import CircleAnchor
from crdt.space_keys import EpochKey, epoch_key
from crdt.statement import Statement, sign_statement
from crdt.statement_kinds import (
    Add,
    Body,
    Epoch,
    Grant,
    Leave,
    Remove,
    Rename,
    Role,
    Rotate,
    Vouch,
)

SPACE: Final = SpaceId(bytes(range(16)))


@cache
def person(name: str, device: str = "phone") -> Identity:
    """Return a device of the person of a name."""
    keys = person_keys(hashlib.sha256(name.encode()).digest())
    return new_paired_identity(
        name,
        keys.signing_key.public_key,
        keys.secret,
        hashlib.shake_256(f"{name} {device}".encode()).digest(68),
        device,
    )


@cache
def founding(founder: str = "ada", space: SpaceId = SPACE) -> Statement:
    """Return the statement with which a person founds a circle."""
    encoded, _ = found_circle(
        person(founder),
        space,
        hashlib.sha256(b"first" + space).digest(),
        name="mill",
        preset=1,
        alias=founder,
    )
    return decode_founding(encoded)


@cache
def _who(name: str, founder: str) -> CircleIdentity:
    return circle_identity(person(name), founding(founder), alias=name)


@dataclass
class Circle:
    """Persons of one circle who tell each other of their statements, or do not."""

    founder: str = "ada"
    is_apart: bool = False
    memberships: dict[str, CircleMembership] = field(default_factory=dict)
    _dice: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        """Let the founder found it."""
        self.hear(self.founder, (self.founding.encoded,))

    @classmethod
    def of(cls, *names: str) -> Self:
        """Return a circle that the first has founded and invited the others to."""
        circle = cls(names[0])
        for name in names[1:]:
            circle.welcome(names[0], name)
        return circle

    @property
    def founding(self) -> Statement:
        """The statement that founded it."""
        return founding(self.founder)

    @property
    def id(self) -> CircleId:
        """The circle's id."""
        return CircleId(self.founding.hash)

    def who(self, name: str) -> CircleIdentity:
        """Return who a person is in this circle."""
        return _who(name, self.founder)

    def key(self, name: str) -> AuthorKey:
        """Return a person's pseudonym."""
        return self.who(name).author_key

    def membership(self, name: str) -> CircleMembership:
        """Return the circle as a person knows it."""
        if name not in self.memberships:
            keys = no_circle_keys(self.id, self.founding.space)
            self.memberships[name] = CircleMembership.of(
                self.who(name).author, keys, ()
            )
        return self.memberships[name]

    def hear(self, name: str, statements: Iterable[bytes]) -> int:
        """Let a person receive statements; return how many were refused."""
        after, refused = self.membership(name).with_received(statements)
        self.memberships[name] = after
        return refused

    def everything(self) -> list[Statement]:
        """Return all that was stated."""
        said = dict[bytes, Statement]()
        for each in self.memberships.values():
            said |= each.statements
        return list(said.values())

    def roster(self) -> Roster:
        """Return the roster for who has heard everything."""
        return Roster.about(
            CircleAnchor(self.id, self.founding.space), self.everything()
        )

    def together(self) -> None:
        """Let all hear all."""
        everything = [each.encoded for each in self.everything()]
        for name in self.memberships:
            self.hear(name, everything)

    def say(self, who: str, verb: str, whom: str = "", rest: str = "") -> None:
        """Let a person state something by the functions of the program.

        Raises `ConflictError` if they refuse.
        """
        before = self.membership(who)
        self.memberships[who] = before.saying(
            lambda roster, identity, keys: self._said(
                (roster, identity, keys), verb, whom, rest
            )
        )
        self.tell(who, before)

    def force(self, who: str, verb: str, whom: str, rest: str = "") -> None:
        """Let a person state something whether they may or not; only they hear it."""
        if self.membership(who).roster.heads:
            self.hear(who, (self.forged(who, verb, whom, rest).encoded,))

    def forged(self, who: str, verb: str, whom: str, rest: str = "") -> Statement:
        """Return what a person states whether they may or not; nobody hears it."""
        roster = self.membership(who).roster
        body = self._body(roster, verb, self.who(whom or who).author, rest)
        author = self.who(who).author.signing_key()
        return sign_statement(self.founding.space, author, roster.heads, body)

    def tell(self, who: str, before: CircleMembership) -> None:
        """Let the others hear what a person said since, unless they are apart."""
        for name in self.memberships:
            if name != who and not self.is_apart:
                self.hear(name, self.memberships[who].statements_since(before))

    def welcome(self, who: str, whom: str, role: Role = Role.WRITER) -> None:
        """Let a person invite another, and give them the roster and the keys."""
        self.say(who, "invites", whom, role)
        self.say(who, "grants", whom)
        known = self.membership(who).statements.values()
        self.hear(whom, [each.encoded for each in known])

    def settle(self) -> int:
        """Let all do their duties in turn; return how many statements it took."""
        said = 0
        while True:
            self.together()
            waiting = [
                (duty.turn, name, duty)
                for name, each in sorted(self.memberships.items())
                for duty in duties(each)
            ]
            if not waiting:
                return said
            _, name, duty = min(waiting, key=lambda each: each[:2])
            self.memberships[name] = fulfilled(
                self.memberships[name], duty, self.secret()
            )
            said += 1

    def secret(self) -> bytes:
        """Return 32 bytes that nobody had before."""
        return hashlib.sha256(b"secret %d" % next(self._dice)).digest()

    def opens(self, name: str) -> bool:
        """Whether a person has the key of the epoch that is present for all."""
        return self.membership(name).keys.epoch(self.roster().present_epoch) is not None

    def _body(self, roster: Roster, verb: str, target: Identity, rest: str) -> Body:
        new = epoch_key(self.secret())
        there = {each for each, member in roster.members.items() if member.may_read}
        match verb:
            case "invites":
                applicant = apply_to_circle(target, self.founding.space)
                return Add(
                    applicant.public_key,
                    applicant.hpke_key,
                    applicant.client_id,
                    applicant.name,
                    Role(rest or "writer"),
                    applicant.consent,
                )
            case "grants":
                sealed = seal_epoch_key(self.founding.space, new, target.hpke_key)
                return Grant(target.device, ((roster.present_epoch, sealed),))
            case "removes":
                epoch = _epoch(roster, new, there - {target.device})
                return Remove(target.device, 0, NO_HASH, epoch)
            case "vouches":
                return Vouch(target.device)
            case "leaves":
                return Leave()
            case "rotates":
                return Rotate(_epoch(roster, new, there))
            case "renames":
                return Rename(target.device, rest)
            case _:
                raise ValueError(verb)

    def _said(
        self,
        known: tuple[Roster, Identity, CircleKeys],
        verb: str,
        whom: str,
        rest: str,
    ) -> CircleSaid:
        roster, identity, keys = known
        match verb:
            case "invites":
                applicant = apply_to_circle(self.who(whom).author, SPACE)
                return invite(roster, identity, applicant, Role(rest or "writer"))
            case "grants":
                return grant(roster, identity, keys, self.who(whom).author.device)
            case "removes":
                return remove_person(
                    roster, identity, keys, self.key(whom), self.secret()
                )
            case "vouches":
                return vouch(roster, identity, self.key(whom))
            case "leaves":
                return leave(roster, identity)
            case "rotates":
                return rotate(roster, identity, keys, self.secret())
            case "renames":
                device = self.who(whom).author.device
                return rename(roster, identity, device, rest)
            case _:
                raise ValueError(verb)


def _epoch(roster: Roster, new: EpochKey, persons: Iterable[DeviceId]) -> Epoch:
    return Epoch(
        new.id,
        tuple(
            (
                each,
                seal_epoch_key(roster.anchor.space, new, roster.members[each].hpke_key),
            )
            for each in sorted(persons)
        ),
        (),
    )
