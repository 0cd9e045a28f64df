"""Epochs of a space or circle: which one is present, and who can open it, and how.

Specification: docs/protocol/roster.md. Rule: when it is asked whether a removed device
can read on, what it may have been given counts as given; when it is asked who still
needs a key, only what was certainly given counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from crdt.circle_keys import CircleKeys
from crdt.errors import ForgedError
from crdt.identity import Identity
from crdt.ids import DeviceId, SpaceId
from crdt.keys import open_sealed, seal_to, unwrap_key, wrap_key
from crdt.roster_conflicts import NOTHING, bits
from crdt.roster_history import History, begun_by
from crdt.space_keys import EpochKey, SpaceKeys, epoch_key
from crdt.statement_kinds import Add, Enrol, Grant

HeldKeys = TypeVar("HeldKeys", SpaceKeys, CircleKeys)
_WRAP_LABEL: Final = "previous epoch key"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What a roster says of one epoch."""

    id: bytes
    sealed: Mapping[DeviceId, Sequence[bytes]]
    """The key, sealed to devices; a device may have been given it more than once."""
    previous: Sequence[tuple[bytes, bytes]]
    """(id of an earlier epoch, its key sealed under this one's)."""
    holders: frozenset[DeviceId]
    """Devices that were given this very key."""
    suspects: frozenset[DeviceId]
    """The holders, and those who may have it from elsewhere."""


@dataclass(slots=True)
class _Draft:
    sealed: defaultdict[DeviceId, list[bytes]] = field(
        default_factory=lambda: defaultdict(list)
    )
    previous: list[tuple[bytes, bytes]] = field(default_factory=list)
    holders: set[DeviceId] = field(default_factory=set)
    suspects: set[DeviceId] = field(default_factory=set)


def epoch_records(history: History) -> dict[bytes, EpochRecord]:
    """Return all epochs that statements began, whether they stand or not, oldest first.

    Those of statements that fell are kept too: envelopes may be sealed under them.
    """
    drafts = {key_id: _Draft() for key_id in history.epoch_starts}
    for place, statement in enumerate(history.statements):
        epoch = begun_by(statement)
        if epoch is not None:
            _note_sealed(drafts[epoch.id], epoch.sealed)
            drafts[epoch.id].previous += epoch.previous
        match statement.body:
            case Grant(device=device, keys=keys):
                for key_id, sealed in keys:
                    _note_sealed(drafts[key_id], ((device, sealed),))
            case Add(role=role) if role.may_read:
                # A device of a space gets them in the pairing, a person of a circle
                # by a grant, but may have them from who invited.
                for draft in _known_before(history, drafts, place):
                    given = draft.suspects if history.is_of_circle else draft.holders
                    given.add(history.added[place])
            case Enrol():
                # It may have them from a backup.
                for draft in _known_before(history, drafts, place):
                    draft.suspects.add(history.added[place])
            case _:
                pass
    return {
        key_id: EpochRecord(
            id=key_id,
            sealed=draft.sealed,
            previous=draft.previous,
            holders=frozenset(draft.holders),
            suspects=frozenset(draft.holders | draft.suspects),
        )
        for key_id, draft in drafts.items()
    }


def present_epoch(
    history: History, records: Mapping[bytes, EpochRecord], readers: set[DeviceId]
) -> bytes:
    """Return the id of the epoch to seal under; empty for an empty roster.

    Of the newest epochs of statements that stand: that which the fewest outsiders can
    open, of those the one that most readers can, then the last, then the smallest id.
    """
    stands = history.standing(history.everything)
    starts = {
        key_id: places & stands
        for key_id, places in history.epoch_starts.items()
        if places & stands
    }
    return min(
        (key_id for key_id in starts if not _is_superseded(history, key_id, starts)),
        key=lambda key_id: (
            len(records[key_id].suspects - readers),
            -len(records[key_id].holders & readers),
            -max(history.depth[place] for place in bits(starts[key_id])),
            key_id,
        ),
        default=b"",
    )


def seal_epoch_key(space: SpaceId, epoch: EpochKey, hpke_key: bytes) -> bytes:
    """Return an epoch's key sealed to a device."""
    return seal_to(hpke_key, _seal_info(space, epoch.id), epoch.secret)


def wrap_epoch_key(outer: EpochKey, inner: EpochKey) -> bytes:
    """Return an earlier epoch's key sealed under a later one's."""
    return wrap_key(outer.secret, _WRAP_LABEL, inner.id, inner.secret)


def unlocked(
    identity: Identity,
    keys: HeldKeys,
    records: Mapping[bytes, EpochRecord],
    present: bytes,
) -> HeldKeys:
    """Return `keys` with every epoch that this device can open, the present one last.

    A key that does not fit its id is no key: whoever sealed it made a mistake or lied.
    """
    held = {epoch.id: epoch for epoch in keys.epochs}
    for record in records.values():
        if record.id not in held:
            opened = _opened(identity, keys.space, record)
            if opened is not None:
                held[record.id] = opened
    waiting = list(held)
    while waiting:
        outer = held[waiting.pop()]
        record_of_outer = records.get(outer.id)
        for key_id, wrapped in record_of_outer.previous if record_of_outer else ():
            if key_id not in held:
                inner = _unwrapped(outer, key_id, wrapped)
                if inner is not None:
                    held[key_id] = inner
                    waiting.append(key_id)
    order = {key_id: place for place, key_id in enumerate(records)}
    epochs = sorted(
        held.values(),
        key=lambda epoch: (epoch.id == present, order.get(epoch.id, -1)),
    )
    return msgspec.structs.replace(keys, epochs=tuple(epochs))


def ends(
    keys: Iterable[EpochKey], records: Mapping[bytes, EpochRecord]
) -> list[EpochKey]:
    """Return the keys of which none can be reached from another, by id."""
    held = {epoch.id: epoch for epoch in keys if epoch.id in records}
    reached = {inner for key_id in held for inner, _ in records[key_id].previous}
    return sorted(
        (epoch for epoch in held.values() if epoch.id not in reached),
        key=lambda epoch: epoch.id,
    )


def _note_sealed(draft: _Draft, sealed: Iterable[tuple[bytes, bytes]]) -> None:
    for device, key in sealed:
        draft.sealed[DeviceId(device)].append(key)
        draft.holders.add(DeviceId(device))


def _known_before(
    history: History, drafts: Mapping[bytes, _Draft], place: int
) -> Iterable[_Draft]:
    """Return the epochs that began causally before a statement."""
    past = history.past[place]
    for key_id, starts in history.epoch_starts.items():
        if starts & past:
            yield drafts[key_id]


def _is_superseded(
    history: History, key_id: bytes, starts: Mapping[bytes, int]
) -> bool:
    """Whether all beginnings of an epoch were known where another one began."""
    known = NOTHING
    for other, places in starts.items():
        if other != key_id:
            for place in bits(places):
                known |= history.past[place]
    return not starts[key_id] & ~known


def _opened(identity: Identity, space: SpaceId, record: EpochRecord) -> EpochKey | None:
    for sealed in record.sealed.get(identity.device, ()):
        try:
            secret = open_sealed(
                identity.hpke_seed, _seal_info(space, record.id), sealed
            )
        except ForgedError:
            continue
        epoch = epoch_key(secret)
        if epoch.id == record.id:
            return epoch
    return None


def _unwrapped(outer: EpochKey, key_id: bytes, wrapped: bytes) -> EpochKey | None:
    try:
        epoch = epoch_key(unwrap_key(outer.secret, _WRAP_LABEL, key_id, wrapped))
    except ForgedError:
        return None
    return epoch if epoch.id == key_id else None


def _seal_info(space: SpaceId, key_id: bytes) -> bytes:
    return b"fractality/1 epoch key\0" + space + key_id
