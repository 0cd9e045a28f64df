"""A device that others do not know, or not any more, and how both come to know.

A restored device has its person's word, but nobody who could vouch for it; a removed
one meets silence and cannot tell why. So a device that is met with silence shows its
statements to the endpoint, sealed to the device it looks for, and is shown in return
those that it lacks. Specification: docs/protocol/signalling.md, "Introduction".

Rule: statements prove themselves, whoever brings them; only who knows a member's key
can bring any, and only a device that is or was a member is answered.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Protocol

import msgspec

from crdt.errors import MalformedError, PeerError, StoreError
from crdt.identity import Identity
from crdt.ids import DeviceId
from crdt.keys import open_sealed, seal_to
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Member
from crdt.statement import MAX_STATEMENT_BYTES, Statement
from crdt.statement_kinds import Remove
from daemon.mesh.space_view import Clocks
from daemon.owner import Owner

MAX_SHOWN: Final = 64
MAX_SHOWN_BYTES: Final = 12 * 1024
"""So that a request stays small; what is left out comes by a session."""
MAX_HASHES: Final = 128
_ASKED: Final = b"fractality/1 introduction\0"
_ANSWERED: Final = b"fractality/1 introduction answer\0"
_Id = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Statements = Annotated[
    tuple[
        Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)],
        ...,
    ],
    msgspec.Meta(max_length=MAX_SHOWN),
]


class Asked(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who asks, what it states, and up to where it knows the roster."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    device: _Id
    heads: Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=MAX_HASHES)]
    statements: _Statements


class Answered(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """What the asker may lack."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    statements: _Statements


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
        await self._receive(_answered(plain).statements)

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
            lambda replica: _lacking(replica, known, member)
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
            Asked(1, self._identity.device, heads, _fitting(own))
        )


def _lacking(replica: Replica, heads: frozenset[bytes], asker: Member) -> bytes:
    """Return the statements that are not behind `heads`, as far as they fit.

    A removed device is shown its removal, and nothing that came after it.
    """
    statements = replica.roster.statements
    known = _with_ancestors(statements, heads)
    shown = {each.hash for each in statements}
    if asker.is_removed:
        removals = (each.hash for each in statements if _removes(each, asker.device))
        shown = _with_ancestors(statements, frozenset(removals))
    lacking = [
        each.encoded
        for each in statements
        if each.hash in shown and each.hash not in known
    ]
    return msgspec.msgpack.encode(Answered(1, _fitting(lacking)))


def _with_ancestors(
    statements: Sequence[Statement], hashes: frozenset[bytes]
) -> set[bytes]:
    """Return hashes and those of all that they build upon; parents come first."""
    found = set(hashes)
    for each in reversed(statements):
        if each.hash in found:
            found.update(each.parents)
    return found


def _removes(statement: Statement, device: DeviceId) -> bool:
    return isinstance(statement.body, Remove) and statement.body.device == device


def _fitting(statements: Sequence[bytes]) -> tuple[bytes, ...]:
    fitting: list[bytes] = []
    size = 0
    for each in statements[:MAX_SHOWN]:
        size += len(each)
        if size > MAX_SHOWN_BYTES:
            break
        fitting.append(each)
    return tuple(fitting)


def _asked(encoded: bytes) -> Asked:
    try:
        return _ASKED_DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_COMPLAINT) from None


def _answered(encoded: bytes) -> Answered:
    try:
        return _ANSWERED_DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(_COMPLAINT) from None


_COMPLAINT: Final = "An introduction of a device breaks its format; it was dropped."
_ASKED_DECODER: Final = msgspec.msgpack.Decoder(Asked)
_ANSWERED_DECODER: Final = msgspec.msgpack.Decoder(Answered)
