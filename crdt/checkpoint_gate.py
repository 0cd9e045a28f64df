"""Whether a part of a checkpoint is taken: the checks, from cheap to costly.

Specification: docs/protocol/checkpoint.md. Rule: a part is judged like an envelope, by
form, giver, place, signature, key and content; what is refused changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from crdt.arrival import Cause
from crdt.chain import ChainHead
from crdt.checkpoint_part import (
    End,
    Header,
    Part,
    Piece,
    decode_part,
    open_part,
    verify_part,
)
from crdt.errors import ForgedError, MalformedError
from crdt.ids import DeviceId
from crdt.roster import Roster
from crdt.space_keys import SpaceKeys


@dataclass(frozen=True, slots=True)
class Installation:
    """A checkpoint that is under way."""

    checkpoint: bytes
    giver: DeviceId
    next_number: int
    header: Header

    @property
    def heads(self) -> Mapping[DeviceId, ChainHead]:
        """How far each device's chain is covered."""
        return {
            DeviceId(head.device): ChainHead(head.sequence, head.hash)
            for head in self.header.heads
        }


Judged: TypeAlias = tuple[Part, Header | Piece | End] | Cause
"""A part with its content, or why it was refused."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What parts are judged by."""

    own_device: DeviceId
    own_sequence: int
    roster: Roster
    keys: SpaceKeys
    present: Installation | None

    def judge(self, encoded: bytes) -> Judged:
        """Return a part and its content, or why it is refused."""
        try:
            part = decode_part(encoded)
            cause = self._place(part)
            if cause is not None:
                return cause
            verify_part(part, self.roster.members[part.place.giver].public_key)
            epoch = self.keys.epoch(part.place.epoch_key_id)
            if epoch is None:
                return Cause.NO_KEY
            content = open_part(part, epoch)
        except ForgedError:
            return Cause.FORGED
        except MalformedError:
            return Cause.MALFORMED
        is_ours_elsewhere = isinstance(content, Header) and any(
            head.device == self.own_device and head.sequence > self.own_sequence
            for head in content.heads
        )
        return Cause.COPY_OF_THIS_DEVICE if is_ours_elsewhere else (part, content)

    def _place(self, part: Part) -> Cause | None:
        place = part.place
        if place.space != self.keys.space:
            return Cause.FOREIGN_SPACE
        member = self.roster.member(place.giver)
        if member is None:
            return Cause.STRANGER
        if member.is_removed:
            return Cause.REMOVED
        if not member.may_write:
            return Cause.NOT_A_WRITER
        if place.number == 0:
            return None
        known = self.present
        if known is None or (known.giver, known.checkpoint) != (
            place.giver,
            place.checkpoint,
        ):
            return Cause.GAP
        if place.number < known.next_number:
            return Cause.DUPLICATE
        return None if place.number == known.next_number else Cause.GAP
