"""A device that others do not know, or not any more, and how both come to know.

A restored device has its person's word, but nobody who could vouch for it; a removed
one meets silence and cannot tell why. So a device that is met with silence shows its
statements to the endpoint, sealed to the device it looks for, and is shown in return
those that it lacks. Specification: docs/protocol/signalling.md, "Introduction".

Rule: statements prove themselves, whoever brings them; only who knows a member's key
can bring any, and only a device that is or was a member is answered.
"""

from collections.abc import Callable
from typing import Annotated, Final, Protocol

import msgspec

from crdt.errors import MalformedError, PeerError, StoreError
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.keys import open_sealed, seal_to
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Member
from daemon.mesh.showing import (
    COMPLAINT,
    MAX_HASHES,
    Heads,
    Shown,
    decode_answered,
    fitting,
    lacking,
)
from daemon.mesh.space_view import Clocks
from daemon.owner import Owner

_ASKED: Final = b"fractality/1 introduction\0"
_ANSWERED: Final = b"fractality/1 introduction answer\0"
_Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Asked(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who asks, what it states, and up to where it knows the roster."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    device: _Id
    heads: Heads
    statements: Shown


class Lookup(Protocol):
    """The roster, as far as it is asked here."""

    def __call__(self, device: DeviceId, /) -> Member | None:
        """Return a device that is or was in the roster."""


class Introductions:
    """Asks and answers for one device."""

    def __init__(
        self,
        identity: Identity,
        owner: Owner,
        member: Lookup,
        changed: Callable[[RosterChange], None],
        clocks: Clocks,
    ) -> None:
        """Take who is told of new statements."""
        self._identity = identity
        self._owner = owner
        self._member = member
        self._changed = changed
        self._clocks = clocks

    async def question(self, peer: DeviceId) -> bytes | None:
        """Return what to show a device that keeps silent; None if it is unknown."""
        member = self._member(peer)
        if member is None:
            return None
        encoded = await self._owner.run(self._asked)
        return seal_to(member.hpke_key, _ASKED + peer, encoded)

    async def take(self, sealed: bytes) -> None:
        """Take in the answer to what was shown. Raises a `PeerError`."""
        info = _ANSWERED + self._identity.device
        plain = open_sealed(self._identity.hpke_seed, info, sealed)
        await self._receive(decode_answered(plain).statements)

    async def answer(self, sealed: bytes, source: str) -> bytes | None:
        """Take in what a device shows, and return what it may lack, sealed to it."""
        info = _ASKED + self._identity.device
        try:
            asked = _asked(open_sealed(self._identity.hpke_seed, info, sealed))
            await self._receive(asked.statements)
        except (PeerError, StoreError):
            return None
        device = DeviceId(asked.device)
        member = self._member(device)
        if member is None:
            return None
        known = frozenset(asked.heads)
        encoded = await self._owner.run(
            lambda replica: lacking(
                replica.roster.statements,
                known,
                device if member.is_removed else None,
            )
        )
        return seal_to(member.hpke_key, _ANSWERED + device, encoded)

    async def _receive(self, statements: tuple[bytes, ...]) -> None:
        if not statements:
            return
        change = await self._owner.run(
            lambda replica: replica.receive_statements(
                statements, self._clocks.wall_ms()
            )
        )
        if change.statements:
            self._changed(change)

    def _asked(self, replica: Replica) -> bytes:
        own = [
            each.encoded
            for each in replica.roster.statements
            if each.author == self._identity.device
        ]
        heads = replica.roster.heads[:MAX_HASHES]
        return msgspec.msgpack.encode(
            Asked(1, self._identity.device, heads, fitting(own))
        )


def _asked(encoded: bytes) -> Asked:
    try:
        return _ASKED_DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(COMPLAINT) from None


_ASKED_DECODER: Final = msgspec.msgpack.Decoder(Asked)
