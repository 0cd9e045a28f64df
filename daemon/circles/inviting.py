"""The inviter's side of a circle: tickets, and letting in who has one.

Specification: docs/protocol/circle-joining.md. Rules of this file:

1. Questions are answered one after the other: what is stated is durable before it is
   answered, and a repeated question waits for the answer to the first.
2. A use is counted before the person is added, so no crash lets in one more than was
   allowed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from crdt.circle_card import decode_card
from crdt.circle_invitation_store import (
    StoredInvitation,
    drop_expired,
    find_invitation,
    write_invitation,
)
from crdt.circle_items import ItemKind
from crdt.circle_roster import founding_of, invite, person
from crdt.database import Connection
from crdt.errors import ConflictError, FractalityError, PeerError
from crdt.ids import AuthorKey
from crdt.keys import device_id
from crdt.roster_rules import Member
from crdt.roster_writing import grant
from crdt.statement import Applicant
from crdt.statement_kinds import CIRCLE_CLIENT_ID
from daemon.circles.records import CircleRecords
from daemon.circles.shelf import Shelf
from transport.circle_joining import (
    Gifts,
    Host,
    Invitation,
    Standing,
    Verdict,
    verdict,
)
from transport.circle_messages import (
    Answer,
    Cause,
    Gift,
    Question,
    Told,
    open_question,
    seal_answer,
)
from transport.circle_ticket import (
    SECRET_BYTES,
    Ticket,
    format_ticket,
    reachable,
    secret_hash,
)

logger = logging.getLogger(__name__)

TOLD_MS: Final = 30 * 24 * 60 * 60 * 1000
"""So long after its end a ticket is remembered, so that its holder is told."""


@dataclass(frozen=True, slots=True)
class Here:
    """What inviting has to know of this device."""

    wall_ms: Callable[[], int]
    randomness: Callable[[int], bytes]
    addresses: Callable[[], Sequence[str]]
    is_open: Callable[[], bool]
    """Whether this person is in the circle."""
    is_paused: Callable[[], bool]


class Inviting:
    """Gives out tickets of one circle and answers those who come with them."""

    def __init__(self, records: CircleRecords, shelf: Shelf, here: Here) -> None:
        """Invite nobody yet."""
        self._records = records
        self._shelf = shelf
        self._here = here
        self._gifts = Gifts()
        self._turn = asyncio.Lock()

    async def invite(self, uses: int, valid_seconds: int) -> tuple[str, int]:
        """Return a ticket, and when it expires in milliseconds since 1970.

        Raises `ConflictError` if this person is not in the circle, or nobody could
        reach this device.
        """
        if not self._here.is_open():
            raise ConflictError(_NOT_IN_IT)
        addresses = reachable(self._here.addresses())
        if not addresses:
            raise ConflictError(_UNREACHABLE)
        device = self._records.identity.device
        now_ms, secret = self._here.wall_ms(), self._here.randomness(SECRET_BYTES)
        ticket = Ticket(
            founding=founding_of(self._records.roster).encoded,
            public_key=device.public_key,
            hpke_key=device.hpke_key,
            secret=secret,
            expires_ms=now_ms + valid_seconds * 1000,
            addresses=addresses,
        )
        stored = StoredInvitation(
            self._records.circle, secret_hash(secret), uses, ticket.expires_ms
        )

        def write(connection: Connection) -> None:
            drop_expired(connection, now_ms - TOLD_MS)
            write_invitation(connection, stored)

        await self._shelf.write(write)
        return format_ticket(ticket), ticket.expires_ms

    def opened(self, sealed: bytes) -> Question | None:
        """Return a question about this circle to this device, None if it is none."""
        seed = self._records.identity.device.hpke_seed
        try:
            return open_question(self._records.circle, seed, sealed)
        except PeerError:
            return None

    async def answer(self, question: Question) -> bytes | None:
        """Let somebody in, or say why not; None is silence."""
        async with self._turn:
            stored = await self._stored(question)
            found = verdict(
                None
                if stored is None
                else Invitation(stored.uses_left, stored.expires_ms),
                self._standing(question),
                self._host(),
                self._here.wall_ms(),
            )
            if found is Verdict.SILENCE or stored is None:
                return None
            answer = await self._acted(found, question, stored)
            return seal_answer(self._records.circle, question, answer)

    async def _acted(
        self, found: Verdict | Cause, question: Question, stored: StoredInvitation
    ) -> Answer:
        if isinstance(found, Cause):
            return Told(found)
        try:
            if found is Verdict.ADMIT:
                await self._admit(question, stored)
            await self._complete(question)
            return self._gifts.piece(question, self._gift)
        except FractalityError as error:
            logger.warning("a person was not let in: %s", type(error).__name__)
            return Told(Cause.FAILED)

    async def _admit(self, question: Question, stored: StoredInvitation) -> None:
        """Count a use and add the person; raises what forbids it, nothing counted."""
        applicant = Applicant(
            public_key=question.public_key,
            hpke_key=question.hpke_key,
            client_id=CIRCLE_CLIENT_ID,
            name=question.name,
            consent=question.consent,
        )
        used = replace(stored, uses_left=stored.uses_left - 1)
        await self._shelf.write(lambda connection: write_invitation(connection, used))
        try:
            await self._records.state(
                lambda roster, author, _: invite(roster, author, applicant)
            )
        except FractalityError:
            await self._shelf.write(
                lambda connection: write_invitation(connection, stored)
            )
            raise

    async def _complete(self, question: Question) -> None:
        """Have a member hold the keys, and members know where its device is."""
        member = device_id(question.public_key)
        if member in self._records.roster.ungranted:
            await self._records.state(
                lambda roster, author, keys: grant(roster, author, keys, member)
            )
        try:
            card = decode_card(question.card)
        except PeerError:
            return
        if card.author == question.public_key:
            await self._records.keep(ItemKind.CARD, [question.card])

    async def _stored(self, question: Question) -> StoredInvitation | None:
        name, circle = secret_hash(question.secret), self._records.circle
        return await self._shelf.read(
            lambda connection: find_invitation(connection, circle, name)
        )

    def _standing(self, question: Question) -> Standing:
        member = self._member(question)
        if member is None:
            return Standing.STRANGER
        return Standing.GONE if member.is_removed else Standing.MEMBER

    def _member(self, question: Question) -> Member | None:
        return person(self._records.roster, AuthorKey(question.public_key))

    def _host(self) -> Host:
        return Host(
            persons=len(self._records.members),
            is_open=self._here.is_open(),
            is_paused=self._here.is_paused(),
        )

    def _gift(self) -> Gift:
        return Gift(
            tuple(self._records.statements),
            tuple(each.content for each in self._records.cards),
        )


_NOT_IN_IT: Final = "You are not in this circle any more, so you cannot invite into it."
_UNREACHABLE: Final = (
    "This device has no address at which others could ask it to join; nothing was"
    " made. Connect it to a network and invite again."
)
