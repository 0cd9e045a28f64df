"""What an admin device states by itself, so that every member has what it needs.

Rule: two devices may do the same at once; what they state agrees by the roster's rules.
"""

from collections.abc import Callable, Sequence

from crdt.chain import EMPTY_CHAIN
from crdt.errors import ConflictError, InvalidError, NotFoundError
from crdt.identity import MAX_NAME_BYTES
from crdt.ids import DeviceId, has_control_characters
from crdt.keys import KEY_BYTES
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Role
from crdt.roster_writing import grant, remove, rename, rotate

Randomness = Callable[[int], bytes]


def tend(
    replica: Replica, randomness: Randomness, now_ms: int
) -> Sequence[RosterChange]:
    """Begin an epoch that only members can open; hand keys to those who lack them."""
    device = replica.identity.device
    own = replica.roster.member(device)
    if own is None or own.is_removed or own.role is not Role.ADMIN:
        return []
    changes: list[RosterChange] = []
    if replica.roster.needs_rotation:
        secret = randomness(KEY_BYTES)
        changes.append(
            replica.state(
                lambda roster, identity, keys: rotate(roster, identity, keys, secret),
                now_ms,
            )
        )
    if replica.keys.present_epoch.id != replica.roster.present_epoch:
        return changes
    lacking = sorted(replica.roster.ungranted - {device})
    return changes + [_granted(replica, each, now_ms) for each in lacking]


def _granted(replica: Replica, device: DeviceId, now_ms: int) -> RosterChange:
    return replica.state(
        lambda roster, identity, keys: grant(roster, identity, keys, device), now_ms
    )


def removed(
    replica: Replica, device: DeviceId, randomness: Randomness, now_ms: int
) -> RosterChange:
    """Remove a device for good: its cut, a new epoch and its keys in one statement.

    Raises `NotFoundError` or `ConflictError`.
    """
    member = replica.roster.member(device)
    if member is None:
        message = "There is no such device; 'fractality devices' lists them."
        raise NotFoundError(message)
    if member.is_removed:
        message = "The device was removed before; nothing was changed."
        raise ConflictError(message)
    if device == replica.identity.device:
        message = (
            "A device cannot remove itself; nothing was changed. Do it on another one."
        )
        raise ConflictError(message)
    secret = randomness(KEY_BYTES)
    cut = replica.heads.get(device, EMPTY_CHAIN)
    return replica.state(
        lambda roster, identity, keys: remove(
            roster, identity, keys, device, cut=cut, new_epoch_secret=secret
        ),
        now_ms,
    )


def renamed(replica: Replica, device: DeviceId, name: str, now_ms: int) -> RosterChange:
    """Give a device another name.

    Raises `NotFoundError`, `InvalidError` or `ConflictError`.
    """
    member = replica.roster.member(device)
    if member is None or member.is_removed:
        message = "There is no such device; 'fractality devices' lists them."
        raise NotFoundError(message)
    if not name.strip() or has_control_characters(name):
        detail = "must be visible text without control characters"
        raise InvalidError("name", detail)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidError("name", f"must be at most {MAX_NAME_BYTES} bytes of UTF-8")
    return replica.state(
        lambda roster, identity, _: rename(roster, identity, device, name), now_ms
    )
