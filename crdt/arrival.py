"""Whether an envelope from outside is taken: the checks, from cheap to costly.

Specification: docs/protocol/envelope.md, "Arrival". Rules of this file:

1. An envelope that is refused leaves no trace, except that two histories signed by one
   device are kept as proof.
2. What follows a refused envelope of the same device is refused as a gap; envelopes of
   other devices are judged as if nothing had happened.
3. An envelope is taken at once or never: what comes too early is asked for again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from crdt.chain import EMPTY_CHAIN, Arrival, ChainHead, check_next, head_after
from crdt.changes import ParsedChange, parse_changes
from crdt.envelope import Envelope, decode, open_payload, verify
from crdt.errors import ForgedError, MalformedError
from crdt.ids import DeviceId
from crdt.roster import Roster
from crdt.roster_rules import Member
from crdt.space_keys import SpaceKeys

MAX_OPEN_BYTES: Final = 16 * 1024 * 1024
"""Opened changes that go into one transaction; a small envelope can hold 8 MiB."""


class Cause(StrEnum):
    """Why an envelope was not taken."""

    MALFORMED = "malformed"
    """Its bytes, or what they carry, break the format."""
    FOREIGN_SPACE = "foreign space"
    STRANGER = "stranger"
    """The roster does not know the device (yet)."""
    NOT_A_WRITER = "not a writer"
    REMOVED = "removed"
    """The device was removed, and this is beyond what is still taken of it."""
    DUPLICATE = "duplicate"
    """It is held already; nothing is wrong."""
    GAP = "gap"
    """Envelopes of the same device before it are missing."""
    FORK = "fork"
    """The device has signed two histories; no more is taken of it."""
    COPY_OF_THIS_DEVICE = "copy of this device"
    """Signed with this device's key, but not written here: its home was copied."""
    FORGED = "forged"
    NO_KEY = "no key"
    """The key of its epoch has not come yet: send it again later."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An envelope that was not taken. What does not even decode has no place."""

    device: DeviceId | None
    sequence: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Fork:
    """Two signed envelopes of one device that no single history can hold."""

    device: DeviceId
    sequence: int
    """Number of the envelope that does not fit what is held."""
    held: bytes
    """The held envelope that it contradicts; empty if that is not held any more."""
    other: bytes


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An envelope that continues its device's chain, opened."""

    member: Member
    head: ChainHead
    encoded: bytes
    changes: Sequence[ParsedChange]
    size: int
    """Bytes of the opened changes."""


Verdict: TypeAlias = Acceptance | Refusal


@dataclass(slots=True, eq=False)
class Examination:
    """Judges envelopes in the order in which they came."""

    own_device: DeviceId
    roster: Roster
    keys: SpaceKeys
    heads: dict[DeviceId, ChainHead]
    """The chain of every device as far as it is held or was accepted here."""
    forked: frozenset[DeviceId]
    held: Callable[[DeviceId, int], bytes | None]
    """Returns a stored envelope, None if it is not there (any more)."""
    barred: Mapping[tuple[DeviceId, int], Cause] = field(default_factory=dict)
    """Envelopes that passed every check, but that a document refused."""
    forks: list[Fork] = field(default_factory=list)
    """Proofs that were found."""
    _accepted: dict[tuple[DeviceId, int], bytes] = field(default_factory=dict)

    def examine_some(self, encoded: Sequence[bytes], first: int) -> list[Verdict]:
        """Judge envelopes from number `first` on, as many as memory should hold open.

        At least one, if there is any.
        """
        verdicts: list[Verdict] = []
        size = 0
        for each in encoded[first:]:
            verdict = self.examine(each)
            verdicts.append(verdict)
            if isinstance(verdict, Acceptance):
                size += verdict.size
            if size > MAX_OPEN_BYTES:
                break
        return verdicts

    def examine(self, encoded: bytes) -> Verdict:
        """Judge the next envelope; accepting it moves its device's head."""
        try:
            envelope = decode(encoded)
        except MalformedError:
            return Refusal(None, 0, Cause.MALFORMED)
        header = envelope.header
        member = self.roster.member(header.device)
        place = header.device, header.sequence
        cause = self._place(envelope, member) or self.barred.get(place)
        if cause is not None or member is None:
            return Refusal(*place, cause or Cause.STRANGER)
        try:
            return self._opened(envelope, member)
        except ForgedError:
            return Refusal(*place, Cause.FORGED)
        except MalformedError:
            return Refusal(*place, Cause.MALFORMED)

    def _place(self, envelope: Envelope, member: Member | None) -> Cause | None:
        """Return why an envelope has no place here, before anything costs much."""
        header = envelope.header
        if header.space != self.keys.space:
            return Cause.FOREIGN_SPACE
        if member is None:
            return Cause.STRANGER
        if header.device == self.own_device:
            return self._own(envelope, member)
        if not member.role.may_write:
            return Cause.NOT_A_WRITER
        cut = member.accepted_through
        if cut is not None and header.sequence > cut:
            return Cause.REMOVED
        head = self.heads.get(header.device, EMPTY_CHAIN)
        arrival = check_next(head, envelope)
        if arrival is Arrival.EARLIER:
            held = self._held(header.device, header.sequence)
            is_known = held is None or held == envelope.encoded
            arrival = Arrival.DUPLICATE if is_known else Arrival.FORK
        if arrival is Arrival.DUPLICATE:
            return Cause.DUPLICATE
        if header.device in self.forked:
            return Cause.FORK
        if arrival is Arrival.FORK:
            return self._forked(envelope, member, Cause.FORK)
        return Cause.GAP if arrival is Arrival.GAP else None

    def _own(self, envelope: Envelope, member: Member) -> Cause:
        """Judge what bears this device's own name: nobody else can have written it."""
        device, sequence = envelope.header.device, envelope.header.sequence
        head = self.heads.get(device, EMPTY_CHAIN)
        held = self._held(device, sequence)
        is_known = held == envelope.encoded if held else sequence <= head.sequence
        if is_known:
            return Cause.DUPLICATE
        return self._forked(envelope, member, Cause.COPY_OF_THIS_DEVICE)

    def _forked(self, envelope: Envelope, member: Member, cause: Cause) -> Cause:
        """Keep the proof if it is one; `cause` then says what of."""
        try:
            verify(envelope, member.public_key)
        except ForgedError:
            return Cause.FORGED
        device, sequence = envelope.header.device, envelope.header.sequence
        head = self.heads.get(device, EMPTY_CHAIN).sequence
        held = self._held(device, min(sequence, head)) or b""
        self.forks.append(Fork(device, sequence, held, envelope.encoded))
        self.forked |= {device}
        return cause

    def _opened(self, envelope: Envelope, member: Member) -> Verdict:
        """Return a verified envelope's changes, every one of them parsed."""
        header = envelope.header
        verify(envelope, member.public_key)
        epoch = self.keys.epoch(header.epoch_key_id)
        if epoch is None:
            return Refusal(header.device, header.sequence, Cause.NO_KEY)
        opened = open_payload(envelope, epoch)
        clients = {each.client_id for each in self.roster.members.values()}
        changes, size = parse_changes(opened, member.client_id, clients)
        head = head_after(envelope)
        self.heads[header.device] = head
        self._accepted[header.device, header.sequence] = envelope.encoded
        return Acceptance(member, head, envelope.encoded, changes, size)

    def _held(self, device: DeviceId, sequence: int) -> bytes | None:
        accepted = self._accepted.get((device, sequence))
        return accepted or self.held(device, sequence)
