"""Looking through what an inviter gives, before anything of it is kept.

A device that lacks the key of an epoch would one day say "unable to read" and nobody
would know why. So a gift is whole, or there is no device.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from crdt.errors import DamagedError, MalformedError, PeerError
from crdt.identity import Identity, new_paired_identity
from crdt.ids import DeviceId, SpaceId
from crdt.keys import KEY_BYTES
from crdt.roster import Member, Roster, Statement, decode_statement
from crdt.space_keys import SpaceKeys, decode_space_keys, epoch_key
from crdt.statement import apply_for
from transport.pairing_messages import Gift, Newcomer, Proposal


class UnwholeGiftError(PeerError):
    """What the inviter gave would not make a whole device."""


@dataclass(frozen=True, slots=True)
class Joined:
    """All that a new device of a person begins with."""

    identity: Identity
    keys: SpaceKeys
    statements: Sequence[Statement]
    inviter: DeviceId
    inviter_name: str
    addresses: Sequence[str]
    """Where the inviter can be reached."""


def unfinished_identity(
    proposal: Proposal, randomness: bytes, device_name: str
) -> Identity:
    """Return the device that would join: it lacks the person's secret still.

    `randomness` is that of a device. Raises `InvalidError` for a name that is none.
    """
    return new_paired_identity(
        proposal.person_name,
        proposal.person_public_key,
        bytes(KEY_BYTES),
        randomness,
        device_name,
    )


def newcomer(proposal: Proposal, identity: Identity) -> Newcomer:
    """Return how a device introduces itself, and agrees to join the space."""
    applicant = apply_for(identity, SpaceId(proposal.space))
    return Newcomer(
        applicant.public_key,
        applicant.hpke_key,
        applicant.client_id,
        applicant.name,
        applicant.consent,
    )


def examine(gift: Gift, proposal: Proposal, identity: Identity) -> Joined:
    """Return what the gift makes of the device that introduced itself.

    Raises a `PeerError` if anything is missing, or is not what was proposed.
    """
    try:
        keys = decode_space_keys(gift.space_keys)
    except DamagedError:
        raise MalformedError(_UNWHOLE.format("its keys cannot be read")) from None
    statements = [decode_statement(encoded) for encoded in gift.statements]
    roster = Roster.of(keys.space, proposal.person_public_key, statements)
    fault = _fault(keys, roster, proposal, identity)
    if fault is not None:
        raise UnwholeGiftError(_UNWHOLE.format(fault))
    return Joined(
        identity=msgspec.structs.replace(identity, person_secret=gift.person_secret),
        keys=keys,
        statements=statements,
        inviter=DeviceId(proposal.device),
        inviter_name=proposal.device_name,
        addresses=gift.addresses,
    )


def _fault(
    keys: SpaceKeys, roster: Roster, proposal: Proposal, identity: Identity
) -> str | None:
    """Return what is wrong, None if nothing is."""
    if keys.space_id != proposal.space:
        return "it is about another space than was proposed"
    if roster.waiting or roster.refused or not roster.statements:
        return "statements of the roster are missing or do not belong to it"
    if not _is(roster.member(identity.device), identity):
        return "this device is not in the roster"
    inviter = roster.member(DeviceId(proposal.device))
    if inviter is None or inviter.is_removed:
        return "the other device is not in the roster"
    if any(epoch_key(epoch.secret) != epoch for epoch in keys.epochs):
        return "the key of an epoch is not the right one"
    if not roster.epochs.keys() <= {epoch.id for epoch in keys.epochs}:
        return "the key of an epoch is missing"
    if keys.present_epoch.id != roster.present_epoch:
        return "the key of the present epoch is not the last"
    return None


def _is(member: Member | None, identity: Identity) -> bool:
    """Whether a member is this device as it introduced itself."""
    return (
        member is not None
        and member.may_read
        and (member.public_key, member.hpke_key, member.client_id)
        == (identity.public_key, identity.hpke_key, identity.client_id)
    )


_UNWHOLE = (
    "What the other device gave would not make a whole device: {}. Nothing was kept;"
    " bring both devices to the newest version and pair again."
)
