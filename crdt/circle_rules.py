"""Who may state what in a circle: a statement judged by what its author knew.

Specification: docs/protocol/circle-roster.md. The rules of `crdt/roster_rules.py` hold:
a judgement depends on the statement and its causal past alone.
"""

from collections.abc import Callable
from typing import Final, assert_never

from crdt.envelope import NO_HASH
from crdt.ids import DeviceId
from crdt.keys import device_id
from crdt.roster_rules import (
    CircleAnchor,
    Fault,
    Member,
    Members,
    judge_epoch,
    readers,
)
from crdt.statement import Statement
from crdt.statement_kinds import (
    CIRCLE_CLIENT_ID,
    Add,
    Enrol,
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

MAX_PERSONS: Final = 128
"""More are not in a circle at one time: to each of them every new key is sealed."""


def judge_in_circle(
    anchor: CircleAnchor,
    statement: Statement,
    members: Members,
    is_known_epoch: Callable[[bytes], bool],
) -> Fault | None:
    """Return why a statement about a circle is refused, or None.

    `members` and `is_known_epoch` tell what follows from its causal past.
    """
    if statement.space != anchor.space:
        return Fault.FOREIGN_CIRCLE
    body = statement.body
    if isinstance(body, Found):
        return _judge_founding(anchor, statement, body)
    if isinstance(body, Enrol | ExtendCut):
        return Fault.FOREIGN_KIND
    author = members.get(statement.author)
    if author is None:
        return Fault.NO_MEMBER
    if author.is_removed:
        return Fault.GONE
    match body:
        case Add():
            return _judge_invitation(author, body, members)
        case Remove():
            return _judge_removal(author, body, members, is_known_epoch)
        case Vouch(member=vouched):
            if not author.may_admit:
                return Fault.NO_AUTHORITY
            return _judge_presence(vouched, members)
        case Rename(device=device):
            return None if device == author.device else Fault.NO_AUTHORITY
        case Grant(device=device, keys=keys):
            if not all(is_known_epoch(key_id) for key_id, _ in keys):
                return Fault.UNKNOWN_EPOCH
            return _judge_presence(device, members)
        case Rotate(epoch=epoch):
            return judge_epoch(epoch, readers(members), is_known_epoch)
        case Leave():
            return None
        case _:
            assert_never(body)


def _judge_founding(
    anchor: CircleAnchor, statement: Statement, body: Found
) -> Fault | None:
    if statement.hash != anchor.circle:
        return Fault.FOREIGN_CIRCLE
    if {key for key, _ in body.epoch.sealed} != {statement.author}:
        return Fault.WRONG_RECIPIENTS
    return Fault.UNKNOWN_EPOCH if body.epoch.previous else None


def _judge_invitation(author: Member, body: Add, members: Members) -> Fault | None:
    if body.role not in {Role.ADMIN, Role.WRITER}:
        return Fault.FOREIGN_KIND
    if body.client_id != CIRCLE_CLIENT_ID:
        return Fault.FOREIGN_KIND
    if body.role is Role.ADMIN and not author.may_admit:
        return Fault.NO_AUTHORITY
    if device_id(body.public_key) in members:
        return Fault.KNOWN_PERSON
    return Fault.FULL_CIRCLE if len(readers(members)) >= MAX_PERSONS else None


def _judge_removal(
    author: Member,
    body: Remove,
    members: Members,
    is_known_epoch: Callable[[bytes], bool],
) -> Fault | None:
    if body.cut_sequence or body.cut_hash != NO_HASH:
        return Fault.FOREIGN_KIND
    if not author.may_admit:
        return Fault.NO_AUTHORITY
    target = members.get(DeviceId(body.device))
    # Who left may still be removed, so that nothing they backdate stands.
    if target is None or (target.is_removed and not target.has_left):
        return Fault.UNKNOWN_PERSON
    if target.device == author.device:
        return Fault.ONESELF
    remaining = readers(members) - {target.device}
    return judge_epoch(body.epoch, remaining, is_known_epoch)


def _judge_presence(person: bytes, members: Members) -> Fault | None:
    member = members.get(DeviceId(person))
    if member is None or member.is_removed:
        return Fault.UNKNOWN_PERSON
    return None
