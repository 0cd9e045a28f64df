"""A roster: who belongs to a space or circle, as a set of signed statements says it.

Specification: docs/protocol/roster.md, circle-roster.md. Rule of this file: the same
set of statements gives the same roster, in whatever order and however often they came.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self

from crdt.identity import Identity
from crdt.ids import DeviceId, SpaceId
from crdt.roster_epochs import (
    EpochRecord,
    HeldKeys,
    epoch_records,
    present_epoch,
    unlocked,
)
from crdt.roster_history import History, in_causal_order
from crdt.roster_rules import (
    Anchor,
    CircleAnchor,
    Fault,
    Member,
    Members,
    readers,
)
from crdt.statement import Statement, decode_statement
from crdt.statement_kinds import Role

__all__ = [
    "EpochRecord",
    "Fault",
    "Member",
    "Role",
    "Roster",
    "Statement",
    "decode_statement",
]

MAX_STATEMENTS_OF_AN_AUTHOR: Final = 512
"""A device that states more is broken or hostile: what it states then is not kept."""


@dataclass(frozen=True, slots=True)
class Roster:
    """What a set of statements says, to a device that knows them all."""

    anchor: Anchor | CircleAnchor
    statements: tuple[Statement, ...]
    """Those that were accepted, in causal order: void ones too, refused ones not."""
    members: Members
    """Every device that is or was in the roster."""
    ranked: tuple[DeviceId, ...]
    """The devices that are in it, senior first."""
    heads: tuple[bytes, ...]
    """Hashes of the accepted statements that no other accepted one names."""
    hashes: frozenset[bytes]
    """Hashes of all accepted statements."""
    fingerprint: bytes
    """32 bytes that are equal on two devices iff they accepted the same statements."""
    void: frozenset[bytes]
    """Hashes of accepted statements that have no effect, as others contradict them."""
    waiting: frozenset[bytes]
    """Hashes of the statements that build on unknown ones."""
    missing: frozenset[bytes]
    """Hashes of the unknown statements that others build on."""
    refused: Mapping[bytes, Fault]
    """Why statements were refused; they will be for ever, and need not be kept."""
    epochs: Mapping[bytes, EpochRecord]
    """Every epoch by the id of its key, oldest first."""
    present_epoch: bytes
    """Id of the key to seal under; empty for an empty roster."""
    needs_rotation: bool
    """Whether somebody who should not may be able to open the present epoch."""
    ungranted: frozenset[DeviceId]
    """Devices that may read, but were not given the present epoch."""
    _history: History = field(repr=False, compare=False)

    @classmethod
    def of(
        cls, space: SpaceId, person_public_key: bytes, statements: Iterable[Statement]
    ) -> Self:
        """Return what `statements` say of the space that the person's word founded."""
        return cls.about(Anchor(space, person_public_key), statements)

    @classmethod
    def about(
        cls, anchor: Anchor | CircleAnchor, statements: Iterable[Statement]
    ) -> Self:
        """Return what `statements` say of the space or circle."""
        order = in_causal_order(statements)
        history = History(anchor)
        refused = history.extend(order.placed)
        everything = history.everything
        members = history.members(everything)
        reading = readers(members)
        epochs = epoch_records(history)
        present = present_epoch(history, epochs, reading)
        record = epochs.get(present)
        named = {parent for each in history.statements for parent in each.parents}
        hashes = sorted(history.place)
        return cls(
            anchor=history.anchor,
            statements=tuple(history.statements),
            members=MappingProxyType(dict(members)),
            ranked=_ranked(history, members),
            heads=tuple(each for each in hashes if each not in named),
            hashes=frozenset(hashes),
            fingerprint=hashlib.sha256(b"".join(hashes)).digest(),
            void=frozenset(
                each.hash
                for each in history.pick(everything ^ history.standing(everything))
            ),
            waiting=order.waiting,
            missing=order.missing,
            refused=MappingProxyType(refused),
            epochs=MappingProxyType(epochs),
            present_epoch=present,
            needs_rotation=record is not None and not record.suspects <= reading,
            ungranted=frozenset(reading - record.holders if record else ()),
            _history=history,
        )

    def joined_with(self, statements: Iterable[Statement]) -> Self:
        """Return the roster of the accepted statements and more."""
        return self.about(self.anchor, (*self.statements, *statements))

    def member(self, device: DeviceId) -> Member | None:
        """Return a device that is or was in the roster."""
        return self.members.get(device)

    def may_write(self, device: DeviceId) -> bool:
        """Whether what a device changes from now on is accepted."""
        member = self.members.get(device)
        return member is not None and member.may_write

    def may_read(self, device: DeviceId) -> bool:
        """Whether a device is to have the keys."""
        member = self.members.get(device)
        return member is not None and member.may_read

    def accepts(self, device: DeviceId, sequence: int) -> bool:
        """Whether a device's envelope of this number is accepted."""
        member = self.members.get(device)
        if member is None or not member.role.may_write:
            return False
        return member.cut is None or sequence <= member.cut.sequence

    def has_room_for(self, statement: Statement) -> bool:
        """Whether one more statement of this author is kept."""
        stated = self._history.by_author.get(statement.author, 0)
        return stated.bit_count() < MAX_STATEMENTS_OF_AN_AUTHOR

    def fault_of(self, statement: Statement) -> Fault | None:
        """Return why a statement whose parents are accepted would not be, or None."""
        return self._history.judge(statement)

    def members_known_to(self, parents: Iterable[bytes]) -> Members:
        """Return who is in the roster to somebody who knows only accepted `parents`."""
        return self._history.members(self._history.known_to(parents))

    def unlock_epochs(self, identity: Identity, keys: HeldKeys) -> HeldKeys:
        """Return `keys` with every epoch this device can open, the present one last.

        If the present one is not among them, the last is the newest that is.
        """
        return unlocked(identity, keys, self.epochs, self.present_epoch)


def _ranked(history: History, members: Members) -> tuple[DeviceId, ...]:
    present = (device for device, member in members.items() if not member.is_removed)
    everything = history.everything
    return tuple(
        sorted(present, key=lambda device: history.seniority(device, everything))
    )
