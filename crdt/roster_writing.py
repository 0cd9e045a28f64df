"""Statements that this device makes about who belongs to a space or circle.

Specification: docs/protocol/roster.md. What others would refuse is not written: each
function raises `ConflictError` with the reason, and nothing has changed.
"""

from typing import Final

import msgspec

from crdt.chain import ChainHead
from crdt.errors import ConflictError
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.roster import Roster
from crdt.roster_epochs import HeldKeys, ends, seal_epoch_key, wrap_epoch_key
from crdt.roster_rules import Members, readers
from crdt.space_keys import EpochKey, SpaceKeys, epoch_key
from crdt.statement import MAX_PARENTS, Applicant, sign_statement
from crdt.statement_kinds import (
    MAX_KEYS,
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


def found(identity: Identity, keys: SpaceKeys) -> bytes:
    """Return the statement with which a roster begins: this device and its epoch."""
    if identity.enrolment is None:
        raise ConflictError(_UNENROLLED)
    epoch = keys.present_epoch
    sealed = seal_epoch_key(keys.space, epoch, identity.hpke_key)
    body = Enrol(
        enrolment=identity.enrolment,
        client_id=identity.client_id,
        name=identity.device_name,
        epoch=Epoch(epoch.id, ((identity.device, sealed),), ()),
    )
    return sign_statement(keys.space, identity.signing_key(), (), body).encoded


def enrol(roster: Roster, identity: Identity) -> bytes:
    """Return the statement by which a device with its person's word adds itself."""
    if identity.enrolment is None:
        raise ConflictError(_UNENROLLED)
    body = Enrol(
        enrolment=identity.enrolment,
        client_id=identity.client_id,
        name=identity.device_name,
        epoch=None,
    )
    return stated(roster, identity, body)


def add(roster: Roster, identity: Identity, applicant: Applicant, role: Role) -> bytes:
    """Return the statement that adds a device, which gets all keys by other means."""
    body = Add(
        public_key=applicant.public_key,
        hpke_key=applicant.hpke_key,
        client_id=applicant.client_id,
        name=applicant.name,
        role=role,
        consent=applicant.consent,
    )
    return stated(roster, identity, body)


def remove(
    roster: Roster,
    identity: Identity,
    keys: HeldKeys,
    device: DeviceId,
    *,
    cut: ChainHead,
    new_epoch_secret: bytes,
) -> tuple[bytes, HeldKeys]:
    """Return the statement that removes a device, and the keys with the new epoch.

    `cut` is the last envelope that this device holds of it; `new_epoch_secret` is 32
    fresh random bytes.
    """
    remaining = {
        each: member
        for each, member in roster.members_known_to(_parents(roster)).items()
        if each != device
    }
    new = epoch_key(new_epoch_secret)
    body = Remove(
        device=device,
        cut_sequence=cut.sequence,
        cut_hash=cut.hash,
        epoch=_epoch(roster, keys, new, remaining),
    )
    return stated(roster, identity, body), _with_epoch(keys, new)


def rotate(
    roster: Roster, identity: Identity, keys: HeldKeys, new_epoch_secret: bytes
) -> tuple[bytes, HeldKeys]:
    """Return the statement that begins a new epoch, and the keys with it."""
    new = epoch_key(new_epoch_secret)
    members = roster.members_known_to(_parents(roster))
    body = Rotate(_epoch(roster, keys, new, members))
    return stated(roster, identity, body), _with_epoch(keys, new)


def grant(
    roster: Roster, identity: Identity, keys: HeldKeys, device: DeviceId
) -> bytes:
    """Return the statement that gives a device all epochs that this one can open."""
    member = roster.member(device)
    if member is None:
        raise ConflictError("There is no such device in this space.")
    handed = ends(keys.epochs, roster.epochs)[:MAX_KEYS]
    if not handed:
        raise ConflictError("This device has no key that it could hand over.")
    sealed = tuple(
        (epoch.id, seal_epoch_key(keys.space, epoch, member.hpke_key))
        for epoch in handed
    )
    return stated(roster, identity, Grant(device, sealed))


def extend_cut(
    roster: Roster, identity: Identity, device: DeviceId, head: ChainHead
) -> bytes:
    """Return the statement that a removed device's envelopes are accepted up to `head`.

    For a device that had stored them before it heard of the removal.
    """
    return stated(roster, identity, ExtendCut(device, head.sequence, head.hash))


def rename(roster: Roster, identity: Identity, device: DeviceId, name: str) -> bytes:
    """Return the statement that a device is called otherwise."""
    return stated(roster, identity, Rename(device, name))


def _parents(roster: Roster) -> tuple[bytes, ...]:
    """Return what a new statement names, those that stand first if all are too many."""
    heads = sorted(roster.heads, key=lambda head: (head in roster.void, head))
    return tuple(heads[:MAX_PARENTS])


def stated(roster: Roster, identity: Identity, body: Body) -> bytes:
    """Return the statement of `body` by who knows the roster."""
    if not roster.heads:
        message = "This device has not heard yet who belongs there."
        raise ConflictError(message)
    statement = sign_statement(
        roster.anchor.space, identity.signing_key(), _parents(roster), body
    )
    fault = roster.fault_of(statement)
    if fault is not None:
        raise ConflictError(f"Nothing was changed: {fault}.")
    return statement.encoded


def _epoch(roster: Roster, keys: HeldKeys, new: EpochKey, members: Members) -> Epoch:
    """Return an epoch for those of `members` that may read, and the way back."""
    sealed = tuple(
        (device, seal_epoch_key(keys.space, new, members[device].hpke_key))
        for device in sorted(readers(members))
    )
    previous = tuple(
        (old.id, wrap_epoch_key(new, old))
        for old in ends(keys.epochs, roster.epochs)[:MAX_KEYS]
    )
    return Epoch(new.id, sealed, previous)


def _with_epoch(keys: HeldKeys, new: EpochKey) -> HeldKeys:
    return msgspec.structs.replace(keys, epochs=(*keys.epochs, new))


_UNENROLLED: Final = (
    "This device was paired, so its person's word for it was never signed. Nothing was"
    " changed."
)
