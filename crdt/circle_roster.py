"""What a circle's roster says of persons, and what only in circles is stated.

Specification: docs/protocol/circle-roster.md. In a circle's roster a "device" is a
person under a pseudonym. What others would refuse is not written: the functions raise
`ConflictError` with the reason, and nothing has changed. Keys are granted, rotated and
members renamed by the functions of `crdt/roster_writing.py`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from crdt.chain import EMPTY_CHAIN
from crdt.circle_keys import CircleKeys, founder_identity, no_circle_keys
from crdt.errors import ConflictError, ForgedError, MalformedError
from crdt.identity import Identity, check_name
from crdt.ids import AuthorKey, CircleId, DeviceId, SpaceId
from crdt.keys import device_id
from crdt.roster import Roster
from crdt.roster_epochs import seal_epoch_key
from crdt.roster_rules import CircleAnchor, Member
from crdt.roster_writing import add, grant, remove, rename, rotate, stated
from crdt.space_keys import epoch_key
from crdt.statement import (
    Applicant,
    Statement,
    apply_for,
    decode_statement,
    sign_statement,
    statement_hash,
)
from crdt.statement_kinds import Epoch, Found, Leave, Role, Vouch

__all__ = [
    "CircleAnchor",
    "Invited",
    "alias",
    "apply_to_circle",
    "circle_name",
    "circle_preset",
    "decode_founding",
    "found_circle",
    "founding_of",
    "grant",
    "invitations",
    "invite",
    "is_admin",
    "is_present",
    "leave",
    "person",
    "present_members",
    "remove_person",
    "rename",
    "rotate",
    "vouch",
]

STRICT: Final = 0
BROAD: Final = 1


class Invited(NamedTuple):
    """How somebody came into a circle."""

    inviter: AuthorKey | None
    """None for who founded it."""
    is_vouched: bool


def found_circle(
    identity: Identity,
    space: SpaceId,
    epoch_secret: bytes,
    *,
    name: str,
    preset: int,
    alias: str | None = None,
) -> tuple[bytes, CircleKeys]:
    """Return the statement that founds a circle, and its keys.

    `space` is 16, `epoch_secret` 32 fresh random bytes. Raises `InvalidError` for a
    name or alias that nobody could read.
    """
    check_name(name, "name")
    if alias is not None:
        check_name(alias, "alias")
    founder = founder_identity(identity, space, alias)
    epoch = epoch_key(epoch_secret)
    sealed = seal_epoch_key(space, epoch, founder.hpke_key)
    body = Found(
        name=name,
        preset=preset,
        alias=founder.device_name,
        hpke_key=founder.hpke_key,
        epoch=Epoch(epoch.id, ((founder.device, sealed),), ()),
    )
    founding = sign_statement(space, founder.signing_key(), (), body)
    keys = no_circle_keys(CircleId(founding.hash), space)
    return founding.encoded, msgspec.structs.replace(
        keys, present=epoch.id, epochs=(epoch,)
    )


def decode_founding(encoded: bytes, circle: CircleId | None = None) -> Statement:
    """Return the statement that founded a circle.

    Raises `MalformedError` if it founds none, `ForgedError` if it founds another than
    `circle`.
    """
    if circle is not None and statement_hash(encoded) != circle:
        detail = "What is said to have founded a circle did not; it was dropped."
        raise ForgedError(detail)
    founding = decode_statement(encoded)
    if not isinstance(founding.body, Found):
        detail = "What is said to have founded a circle founds none; it was dropped."
        raise MalformedError(detail)
    return founding


def apply_to_circle(author: Identity, space: SpaceId) -> Applicant:
    """Return a person's word that they join the circle: `author` is who they are there.

    Their alias is the name in it.
    """
    return apply_for(author, space)


def invite(
    roster: Roster, author: Identity, applicant: Applicant, role: Role = Role.WRITER
) -> bytes:
    """Return the statement that adds a person, who is then to be granted the keys."""
    return add(roster, author, applicant, role)


def remove_person(
    roster: Roster,
    author: Identity,
    keys: CircleKeys,
    person: AuthorKey,
    new_epoch_secret: bytes,
) -> tuple[bytes, CircleKeys]:
    """Return the statement that removes a person, and the keys with the new epoch."""
    return remove(
        roster,
        author,
        keys,
        device_id(person),
        cut=EMPTY_CHAIN,
        new_epoch_secret=new_epoch_secret,
    )


def vouch(roster: Roster, author: Identity, person: AuthorKey) -> bytes:
    """Return the statement that a member stands on their own, whoever invited them."""
    return stated(roster, author, Vouch(device_id(person)))


def leave(roster: Roster, author: Identity) -> bytes:
    """Return the statement by which a person goes, for good."""
    return stated(roster, author, Leave())


def founding_of(roster: Roster) -> Statement:
    """Return the statement that founded the circle.

    Raises `ConflictError` while it is not known.
    """
    for statement in roster.statements:
        if isinstance(statement.body, Found):
            return statement
    raise ConflictError("This device has not heard yet who founded the circle.")


def circle_name(roster: Roster) -> str:
    """Return how the circle is called."""
    return _founding_body(roster).name


def circle_preset(roster: Roster) -> int:
    """Return 0 for strict, 1 for broad."""
    return _founding_body(roster).preset


def person(roster: Roster, author: AuthorKey) -> Member | None:
    """Return who is, or was, in the circle under this pseudonym."""
    return roster.member(device_id(author))


def alias(roster: Roster, author: AuthorKey) -> str | None:
    """Return how somebody who is or was in the circle is called."""
    member = person(roster, author)
    return None if member is None else member.name


def is_present(roster: Roster, author: AuthorKey) -> bool:
    """Whether somebody is in the circle: neither removed nor gone."""
    member = person(roster, author)
    return member is not None and not member.is_removed


def is_admin(roster: Roster, author: AuthorKey) -> bool:
    """Whether somebody may remove others and vouch for them."""
    member = person(roster, author)
    return member is not None and member.may_admit


def present_members(roster: Roster) -> tuple[AuthorKey, ...]:
    """Return who is in the circle, senior first."""
    return tuple(_author(roster, device) for device in roster.ranked)


def invitations(roster: Roster) -> Mapping[AuthorKey, Invited]:
    """Return how everybody who is or was in the circle came into it.

    Following the inviters leads to the founder: never in a circle.
    """
    return {
        AuthorKey(member.public_key): Invited(
            None if member.inviter is None else _author(roster, member.inviter),
            member.is_vouched,
        )
        for member in roster.members.values()
    }


def _author(roster: Roster, device: DeviceId) -> AuthorKey:
    return AuthorKey(roster.members[device].public_key)


def _founding_body(roster: Roster) -> Found:
    body = founding_of(roster).body
    if not isinstance(body, Found):
        raise TypeError(body)
    return body
