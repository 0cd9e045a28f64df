"""Who may state what: a statement judged by what its author knew.

Specification: docs/protocol/roster.md. Rules of this file:

1. A judgement depends on the statement and its causal past alone, so it is the same on
   every device and for ever.
2. A device id that ever was in the roster never enters it again, nor does a client id.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from crdt.chain import EMPTY_CHAIN, ChainHead
from crdt.ids import CircleId, DeviceId, SpaceId
from crdt.keys import device_id
from crdt.statement import Statement
from crdt.statement_kinds import (
    CIRCLE_CLIENT_ID,
    Add,
    Enrol,
    Epoch,
    ExtendCut,
    Found,
    Grant,
    Leave,
    Remove,
    Rename,
    Role,
    Rotate,
    Vouch,
)

MAX_READERS: Final = 128
"""More are not added; concurrently added ones may go up to what a statement holds."""


@dataclass(frozen=True, slots=True)
class Member:
    """A device that is in the roster, or was."""

    device: DeviceId
    public_key: bytes
    hpke_key: bytes
    client_id: int
    name: str
    role: Role
    is_removed: bool = False
    cut: ChainHead | None = None
    """The last envelope accepted of a removed device; None while it is not removed."""
    inviter: DeviceId | None = None
    """Who added it; None if nobody did."""
    is_vouched: bool = False
    """Whether a circle's admin says that this person stands on their own."""
    has_left: bool = False
    """Whether it is removed by its own word only."""

    @property
    def accepted_through(self) -> int | None:
        """Number of the last envelope accepted of it, None for no limit."""
        return None if self.cut is None else self.cut.sequence

    @property
    def may_write(self) -> bool:
        """Whether it may change the graph."""
        return self.role.may_write and not self.is_removed

    @property
    def may_read(self) -> bool:
        """Whether it is to have the keys."""
        return self.role.may_read and not self.is_removed

    @property
    def may_admit(self) -> bool:
        """Whether it may state who belongs to the space."""
        return self.role is Role.ADMIN and not self.is_removed


Members: TypeAlias = Mapping[DeviceId, Member]


class Fault(StrEnum):
    """Why a statement is refused, for ever; the value continues "refused: "."""

    FOREIGN_SPACE = "it is about another space"
    FOREIGN_KIND = "it says what is not said of such a roster"
    FOREIGN_PERSON = "another person vouches for the device"
    STRANGER = "its author is no device of this space"
    REMOVED = "its author was removed"
    NO_AUTHORITY = "its author may not state this"
    REFUSED_PARENT = "it builds on a statement that was refused"
    UNKNOWN_DEVICE = "no such device belongs to this space"
    KNOWN_DEVICE = "the device is or was in the roster, and none comes back"
    CLIENT_ID_TAKEN = "its client id is or was another device's"
    FULL = "the space has as many devices as it can have"
    ITSELF = "a device cannot remove itself; use another one"
    NOT_REMOVED = "the device was not removed"
    SHORTER_CUT = "as much of the device is accepted already"
    WRONG_RECIPIENTS = "the new key is not sealed to exactly those who may read"
    KNOWN_EPOCH = "the epoch is not a new one"
    UNKNOWN_EPOCH = "it names an epoch that its author cannot have known"
    FOREIGN_CIRCLE = "it is about another circle"
    NO_MEMBER = "its author is no member of this circle"
    GONE = "its author left the circle or was removed from it"
    UNKNOWN_PERSON = "no such person is in the circle"
    KNOWN_PERSON = "this person is or was in the circle, and nobody comes back"
    FULL_CIRCLE = "the circle has as many persons as it can have"
    ONESELF = "nobody removes themselves; leave the circle instead"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a roster hangs on: the space, and the person whose word founds it."""

    space: SpaceId
    person_public_key: bytes


@dataclass(frozen=True, slots=True)
class CircleAnchor:
    """What a circle's roster hangs on: the statement that founds it."""

    circle: CircleId
    """Hash of that statement."""
    space: SpaceId
    """Random bytes in all statements of the circle."""


def judge(
    anchor: Anchor,
    statement: Statement,
    members: Members,
    is_known_epoch: Callable[[bytes], bool],
) -> Fault | None:
    """Return why a statement is refused, or None.

    `members` and `is_known_epoch` tell what follows from its causal past.
    """
    if statement.space != anchor.space:
        return Fault.FOREIGN_SPACE
    body = statement.body
    if isinstance(body, Enrol):
        return _judge_enrolment(anchor, statement.author, body, members)
    if isinstance(body, Found | Vouch | Leave):
        return Fault.FOREIGN_KIND
    author = members.get(statement.author)
    if author is None:
        return Fault.STRANGER
    if author.is_removed:
        return Fault.REMOVED
    if isinstance(body, Rename):
        if body.device != author.device and not author.may_admit:
            return Fault.NO_AUTHORITY
        return None if body.device in members else Fault.UNKNOWN_DEVICE
    if isinstance(body, ExtendCut):
        return _judge_extension(author, body, members)
    if not author.may_admit:
        return Fault.NO_AUTHORITY
    match body:
        case Add():
            return _judge_addition(body, members)
        case Remove():
            return _judge_removal(author, body, members, is_known_epoch)
        case Rotate(epoch=epoch):
            return judge_epoch(epoch, readers(members), is_known_epoch)
        case Grant():
            return _judge_grant(body, members, is_known_epoch)
        case _:
            assert_never(body)


def readers(members: Members) -> set[DeviceId]:
    """Return the devices that are to have the keys."""
    return {device for device, member in members.items() if member.may_read}


def applied(
    members: Members, standing: Iterable[Statement], fallen: Iterable[Statement] = ()
) -> Members:
    """Return who is in the roster after more statements, each list in causal order.

    Those that fell add their devices too, as removed ones of whom nothing is accepted:
    some device may hold their envelopes, and can say so by extending the cut.
    """
    after = dict(members)
    standing = list(standing)
    for statement in standing:
        newcomer = _newcomer(statement)
        if newcomer is not None:
            after.setdefault(newcomer.device, newcomer)
    for statement in fallen:
        newcomer = _newcomer(statement)
        if newcomer is not None:
            nobody = replace(newcomer, is_removed=True, cut=EMPTY_CHAIN)
            after.setdefault(newcomer.device, nobody)
    for kind in (Leave, Remove, ExtendCut, Rename, Vouch):
        for statement in standing:
            if isinstance(statement.body, kind):
                _apply_change(after, statement.author, statement.body)
    return after


def _newcomer(statement: Statement) -> Member | None:
    body = statement.body
    if isinstance(body, Enrol):
        return Member(
            device=statement.author,
            public_key=statement.author_key,
            hpke_key=body.enrolment.hpke_public_key,
            client_id=body.client_id,
            name=body.name,
            role=Role.ADMIN,
        )
    if isinstance(body, Add):
        return Member(
            device=device_id(body.public_key),
            public_key=body.public_key,
            hpke_key=body.hpke_key,
            client_id=body.client_id,
            name=body.name,
            role=body.role,
            inviter=statement.author,
        )
    if isinstance(body, Found):
        return Member(
            device=statement.author,
            public_key=statement.author_key,
            hpke_key=body.hpke_key,
            client_id=CIRCLE_CLIENT_ID,
            name=body.alias,
            role=Role.ADMIN,
        )
    return None


def _apply_change(
    members: dict[DeviceId, Member],
    author: DeviceId,
    body: Leave | Remove | ExtendCut | Rename | Vouch,
) -> None:
    match body:
        case Leave():
            device = author
        case Vouch(member=vouched):
            device = DeviceId(vouched)
        case _:
            device = DeviceId(body.device)
    member = members.get(device)
    if member is None:
        return
    match body:
        case Leave():
            after = replace(member, is_removed=True, has_left=True, cut=EMPTY_CHAIN)
        case Rename(name=name):
            after = replace(member, name=name)
        case Remove(cut=cut):
            further = _further(member.cut, cut)
            after = replace(member, is_removed=True, has_left=False, cut=further)
        case ExtendCut(cut=cut):
            further = _further(member.cut, cut)
            after = replace(member, cut=further) if member.is_removed else member
        case Vouch():
            after = replace(member, is_vouched=True)
        case _:
            assert_never(body)
    members[device] = after


def _further(one: ChainHead | None, other: ChainHead) -> ChainHead:
    """Return the later of two cuts; of a fork, the same branch everywhere."""
    if one is None:
        return other
    return max(one, other, key=lambda head: (head.sequence, head.hash))


def _judge_enrolment(
    anchor: Anchor, author: DeviceId, body: Enrol, members: Members
) -> Fault | None:
    if body.enrolment.person_public_key != anchor.person_public_key:
        return Fault.FOREIGN_PERSON
    if body.epoch is not None and {key for key, _ in body.epoch.sealed} != {author}:
        return Fault.WRONG_RECIPIENTS
    if body.epoch is not None and body.epoch.previous:
        return Fault.UNKNOWN_EPOCH
    return _judge_newcomer(author, body.client_id, members)


def _judge_addition(body: Add, members: Members) -> Fault | None:
    if body.role.may_read and len(readers(members)) >= MAX_READERS:
        return Fault.FULL
    return _judge_newcomer(device_id(body.public_key), body.client_id, members)


def _judge_newcomer(device: DeviceId, client_id: int, members: Members) -> Fault | None:
    if device in members:
        return Fault.KNOWN_DEVICE
    if any(member.client_id == client_id for member in members.values()):
        return Fault.CLIENT_ID_TAKEN
    return None


def _judge_removal(
    author: Member,
    body: Remove,
    members: Members,
    is_known_epoch: Callable[[bytes], bool],
) -> Fault | None:
    target = members.get(DeviceId(body.device))
    if target is None or target.is_removed:
        return Fault.UNKNOWN_DEVICE
    if target.device == author.device:
        return Fault.ITSELF
    remaining = readers(members) - {target.device}
    return judge_epoch(body.epoch, remaining, is_known_epoch)


def judge_epoch(
    epoch: Epoch, remaining: set[DeviceId], is_known_epoch: Callable[[bytes], bool]
) -> Fault | None:
    """Return why an epoch cannot begin for those who are to have its key, or None."""
    if {device for device, _ in epoch.sealed} != remaining:
        return Fault.WRONG_RECIPIENTS
    if is_known_epoch(epoch.id):
        return Fault.KNOWN_EPOCH
    if not all(is_known_epoch(key_id) for key_id, _ in epoch.previous):
        return Fault.UNKNOWN_EPOCH
    return None


def _judge_grant(
    body: Grant, members: Members, is_known_epoch: Callable[[bytes], bool]
) -> Fault | None:
    member = members.get(DeviceId(body.device))
    if member is None or not member.may_read:
        return Fault.UNKNOWN_DEVICE
    if not all(is_known_epoch(key_id) for key_id, _ in body.keys):
        return Fault.UNKNOWN_EPOCH
    return None


def _judge_extension(author: Member, body: ExtendCut, members: Members) -> Fault | None:
    if not author.may_write:
        return Fault.NO_AUTHORITY
    member = members.get(DeviceId(body.device))
    if member is None:
        return Fault.UNKNOWN_DEVICE
    if member.cut is None:
        return Fault.NOT_REMOVED
    if body.cut.sequence <= member.cut.sequence:
        return Fault.SHORTER_CUT
    return None
