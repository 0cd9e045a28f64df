"""A small language for what devices state about each other, and what comes of it.

    ada founds
    ada adds phone                  all devices hear of it at once
    phone adds desk as reader       or as admin (so if not said), writer, relay
    desk removes ada, refused: its author may not state this
    apart                           from here on each device hears itself only
    ada removes phone at 7          envelopes up to number 7 are still accepted
    phone removes ada
    phone hears ada
    together                        all hear all
    in: ada desk
    out: phone
    void: 1                         how many statements have no effect
    rotation needed                 else: no rotation needed
    ada, desk can read              the present epoch; else: phone cannot read

Other statements: X enrols; X rotates; X grants Y; X extends Y to 9; X renames Y to Z.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

import msgspec
import pytest

from crdt.chain import EMPTY_CHAIN, ChainHead
from crdt.errors import ConflictError
from crdt.identity import Identity, new_identity
from crdt.ids import DeviceId
from crdt.keys import person_keys
from crdt.roster import Roster
from crdt.roster_epochs import seal_epoch_key
from crdt.roster_writing import (
    add,
    enrol,
    extend_cut,
    found,
    grant,
    remove,
    rename,
    rotate,
)
from crdt.space_keys import EpochKey, SpaceKeys, epoch_key, new_space_keys
from crdt.statement import Statement, apply_for, decode_statement, sign_statement
from crdt.statement_kinds import (
    Add,
    Body,
    Enrol,
    Epoch,
    ExtendCut,
    Grant,
    Remove,
    Rename,
    Role,
    Rotate,
)

ENTROPY: Final = b"\x01" * 32
PERSON: Final = person_keys(ENTROPY).signing_key.public_key
KEYS: Final[SpaceKeys] = new_space_keys(b"\x07" * 32)
SPACE: Final = KEYS.space


@cache
def device(name: str) -> Identity:
    """Return the device of a name; eve is a stranger, twin has book's client id."""
    randomness = hashlib.shake_256(name.encode()).digest(68)
    entropy = bytes(32) if name == "eve" else ENTROPY
    made = new_identity(entropy, randomness, "Ada", name)
    if name == "twin":
        return msgspec.structs.replace(made, client_id=device("book").client_id)
    return made


def head(sequence: int) -> ChainHead:
    """Return the head of a chain of this length."""
    if not sequence:
        return EMPTY_CHAIN
    return ChainHead(sequence, hashlib.sha256(b"%d" % sequence).digest())


@dataclass
class Player:
    """A device with what it has heard and the keys that it was given."""

    identity: Identity
    keys: SpaceKeys | None = None
    heard: dict[bytes, Statement] = field(default_factory=dict)

    @property
    def roster(self) -> Roster:
        """The roster as this device sees it."""
        return Roster.of(SPACE, PERSON, self.heard.values())

    def hear(self, statements: Iterable[Statement]) -> None:
        """Take in statements, and the keys that come with them."""
        self.heard |= {each.hash: each for each in statements}
        if self.keys is not None:
            self.keys = self.roster.unlock_epochs(self.identity, self.keys)


@dataclass
class World:
    """Devices that state things about each other."""

    players: dict[str, Player] = field(default_factory=dict)
    is_apart: bool = False
    rolled: int = 0

    def player(self, name: str) -> Player:
        """Return the device of a name, which has heard what a newcomer hears."""
        if name not in self.players:
            self.players[name] = Player(device(name))
            if not self.is_apart:
                self.players[name].hear(self.everything())
        return self.players[name]

    def everything(self) -> list[Statement]:
        """Return all that was stated."""
        heard = dict[bytes, Statement]()
        for player in self.players.values():
            heard |= player.heard
        return list(heard.values())

    def roster(self) -> Roster:
        """Return the roster as it is for who has heard everything."""
        return Roster.of(SPACE, PERSON, self.everything())

    def state(self, who: str, verb: str, whom: str, rest: str = "") -> Statement:
        """Let a device state something by the functions of the program.

        Raises `ConflictError` if they refuse.
        """
        author, target = self.player(who), self.player(whom or who)
        roster, identity, keys = author.roster, author.identity, author.keys or KEYS
        match verb:
            case "founds":
                encoded = found(identity, keys)
            case "enrols":
                encoded = enrol(roster, identity)
            case "adds":
                role = Role(rest or "admin")
                applicant = apply_for(target.identity, SPACE)
                encoded = add(roster, identity, applicant, role)
            case "removes":
                encoded, author.keys = remove(
                    roster,
                    identity,
                    keys,
                    target.identity.device,
                    cut=head(int(rest or 0)),
                    new_epoch_secret=self.secret(),
                )
            case "rotates":
                encoded, author.keys = rotate(roster, identity, keys, self.secret())
            case "grants":
                encoded = grant(roster, identity, keys, target.identity.device)
            case "extends":
                encoded = extend_cut(
                    roster, identity, target.identity.device, head(int(rest))
                )
            case "renames":
                encoded = rename(roster, identity, target.identity.device, rest)
            case _:
                raise ValueError(verb)
        statement = decode_statement(encoded)
        if verb in {"founds", "enrols"}:
            author.keys = keys
        if verb == "adds":
            target.keys = None if rest == "relay" else keys
            target.hear((*author.heard.values(), statement))
        self.tell(who, statement)
        return statement

    def force(self, who: str, verb: str, whom: str, rest: str = "") -> Statement:
        """Return what a device states whether it may or not; nobody hears it."""
        author = self.player(who)
        parents = author.roster.heads
        body = self._body(author, verb, self.player(whom or who).identity, rest)
        return sign_statement(SPACE, author.identity.signing_key(), parents, body)

    def tell(self, who: str, statement: Statement) -> None:
        """Let the author hear a statement, and the others unless they are apart."""
        hearing = [self.player(who)] if self.is_apart else self.players.values()
        for player in hearing:
            player.hear((statement,))

    def together(self) -> None:
        """Let all hear all."""
        everything = self.everything()
        for player in self.players.values():
            player.hear(everything)

    def secret(self) -> bytes:
        """Return 32 bytes that nobody had before."""
        self.rolled += 1
        return hashlib.sha256(b"secret %d" % self.rolled).digest()

    def _body(self, author: Player, verb: str, target: Identity, rest: str) -> Body:
        members = author.roster.members
        new = epoch_key(self.secret())
        applicant = apply_for(target, SPACE)
        match verb:
            case "enrols":
                enrolment = author.identity.enrolment
                assert enrolment is not None
                return Enrol(enrolment, applicant.client_id, applicant.name, None)
            case "adds":
                return Add(
                    applicant.public_key,
                    applicant.hpke_key,
                    applicant.client_id,
                    applicant.name,
                    Role(rest or "admin"),
                    applicant.consent,
                )
            case "removes":
                last = head(int(rest or 0))
                left = {each for each, member in members.items() if member.may_read}
                epoch = _epoch(new, left - {target.device}, author.roster)
                return Remove(target.device, last.sequence, last.hash, epoch)
            case "rotates":
                left = {each for each, member in members.items() if member.may_read}
                return Rotate(_epoch(new, left, author.roster))
            case "grants":
                sealed = seal_epoch_key(SPACE, KEYS.present_epoch, target.hpke_key)
                return Grant(target.device, ((KEYS.present_epoch.id, sealed),))
            case "extends":
                last = head(int(rest))
                return ExtendCut(target.device, last.sequence, last.hash)
            case "renames":
                return Rename(target.device, rest)
            case _:
                raise ValueError(verb)


def _epoch(new: EpochKey, devices: Iterable[DeviceId], roster: Roster) -> Epoch:
    return Epoch(
        new.id,
        tuple(
            (each, seal_epoch_key(SPACE, new, roster.members[each].hpke_key))
            for each in sorted(devices)
        ),
        (),
    )


class Said(NamedTuple):
    """One statement of the language."""

    who: str
    verb: str
    whom: str
    rest: str


STATED: Final = re.compile(
    r"(\w+) (founds|enrols|adds|removes|rotates|grants|extends|renames)"
    r"(?: (\w+))?(?: (?:as|at|to) (\w+))?(?:, refused: (.+))?"
)


def tell(text: str) -> World:
    """Play a text of the language, and check what it expects on its way."""
    world = World()
    for line in filter(None, map(str.strip, text.splitlines())):
        stated = STATED.fullmatch(line)
        if stated is None:
            _play(world, line)
            continue
        said = Said(*(part or "" for part in stated.groups()[:4]))
        if stated[5]:
            _refuse(world, said, stated[5])
        else:
            world.state(*said)
    return world


def _refuse(world: World, said: Said, why: str) -> None:
    """Neither does the program write the statement nor does anybody accept it."""
    with pytest.raises(ConflictError) as caught:
        world.state(*said)
    assert str(caught.value) == f"Nothing was changed: {why}."
    forced = world.force(*said)
    before = world.player(said.who).roster
    after = before.joined_with((forced,))
    assert after.refused == {forced.hash: why}
    assert (after.members, after.hashes) == (before.members, before.hashes)


def _play(world: World, line: str) -> None:
    roster = world.roster()
    match line.replace(",", "").split():
        case ["apart"]:
            world.is_apart = True
        case ["together"]:
            world.is_apart = False
            world.together()
        case [who, "hears", whom]:
            world.player(who).hear(world.player(whom).heard.values())
        case ["in:", *names]:
            assert _names(roster, lambda device: not _is_out(roster, device)) == set(
                names
            )
        case ["out:", *names]:
            assert _names(roster, lambda device: _is_out(roster, device)) == set(names)
        case ["void:", count]:
            assert len(roster.void) == int(count)
        case ["rotation", "needed"]:
            assert roster.needs_rotation
        case ["no", "rotation", "needed"]:
            assert not roster.needs_rotation
        case [*names, "can", "read"]:
            assert set(names) <= _reading(world, roster)
        case [*names, "cannot", "read"]:
            assert not set(names) & _reading(world, roster)
        case ["envelopes", "of", name, "through", number]:
            member = roster.members[device(name).device]
            assert member.accepted_through == int(number)
        case _:
            raise ValueError(line)


def _is_out(roster: Roster, member: DeviceId) -> bool:
    return roster.members[member].is_removed


def _names(roster: Roster, is_wanted: Callable[[DeviceId], bool]) -> set[str]:
    return {each.name for each in roster.members.values() if is_wanted(each.device)}


def _reading(world: World, roster: Roster) -> set[str]:
    """Return who can open the present epoch with all that was ever said."""
    able = set()
    for name, player in world.players.items():
        if player.keys is not None:
            keys = roster.unlock_epochs(player.identity, player.keys)
            if keys.epoch(roster.present_epoch) is not None:
                able.add(name)
    return able
