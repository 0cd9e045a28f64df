"""How a person joins a circle by a ticket: what is asked where, and what is kept.

Rules of this file:

1. Nothing is kept of a try that does not end with a whole circle.
2. A question whose answer was lost is asked again: it costs nobody anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from crdt.circle_keys import CircleIdentity, circle_identity, no_circle_keys
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import apply_to_circle, decode_founding
from crdt.errors import ConflictError, InvalidError, NotFoundError, PeerError
from crdt.identity import Identity
from crdt.ids import CircleId
from crdt.statement import Statement, decode_statement
from transport.addresses import Address, parse_address
from transport.circle_joining import TOLD, Action, Ask, Ended, Joining
from transport.circle_messages import Cause, Gift, Question
from transport.circle_ticket import Ticket
from transport.endpoint import PostError, post

HANDLER_NAME: Final = "circlejoin"
"""Of the endpoint."""
MAX_REPEATS: Final = 6
STAGGER_SECONDS: Final = 0.3
"""After so long without an answer the next address is tried beside the others."""

Post: TypeAlias = Callable[[Address, str, bytes], Awaitable[bytes]]
"""`transport.endpoint.post`."""


class CardOf(Protocol):
    """Makes the card of this device in a circle."""

    def __call__(self, who: CircleIdentity, /) -> bytes:
        """Return the card with its signatures."""


class NobodyAnswersError(NotFoundError):
    """The device that gave a ticket cannot be reached."""


class NotAdmittedError(ConflictError):
    """The inviter says why a person is not let in."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(TOLD[cause])
        self.cause = cause
        """The same as a value."""


@dataclass(frozen=True, slots=True)
class Entered:
    """All that a person begins with in a circle."""

    who: CircleIdentity
    founding: bytes
    membership: CircleMembership
    gift: Gift
    card: bytes
    """The own one."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How inviters are reached."""

    randomness: Callable[[int], bytes]
    post: Post = post
    repeat_seconds: float = 1.0
    """How long to wait before a question is asked again."""


def founding_of(ticket: Ticket) -> Statement:
    """Return the statement that founded the circle, or raise `InvalidError`."""
    try:
        return decode_founding(ticket.founding)
    except PeerError:
        raise InvalidError("ticket", _FOREIGN) from None


async def enter(
    identity: Identity, ticket: Ticket, alias: str | None, card_of: CardOf, ways: Ways
) -> Entered:
    """Join the circle of a ticket; nothing is kept yet.

    Raises `InvalidError` for a ticket or alias that is none, `NobodyAnswersError`, or
    `NotAdmittedError`.
    """
    founding = founding_of(ticket)
    who = circle_identity(identity, founding, alias)
    card = card_of(who)
    joining = Joining(
        ticket,
        _question(ticket, who, founding, card),
        who.author.hpke_seed,
        ways.randomness,
    )
    gift = await _Talk(joining, _places(ticket), ways).to_the_end()
    try:
        membership = examine(gift, who, founding)
    except PeerError as error:
        raise NobodyAnswersError(f"{error} {_NOTHING_KEPT}") from None
    return Entered(who, ticket.founding, membership, gift, card)


def examine(gift: Gift, who: CircleIdentity, founding: Statement) -> CircleMembership:
    """Return what a gift makes of a person who was invited.

    Raises a `PeerError` if anything is missing.
    """
    statements = [decode_statement(encoded) for encoded in gift.statements]
    keys = no_circle_keys(CircleId(founding.hash), founding.space)
    membership = CircleMembership.of(who.author, keys, statements)
    fault = _fault(membership)
    if fault is not None:
        raise UnwholeCircleError(fault)
    return membership


class UnwholeCircleError(PeerError):
    """What the inviter gave does not make a member."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"What the inviter gave makes no member: {fault}.")


def _fault(membership: CircleMembership) -> str | None:
    """Return what is wrong, None if nothing is."""
    roster, me = membership.roster, membership.identity
    if roster.waiting or not roster.statements:
        return "statements of the circle are missing"
    member = roster.member(me.device)
    if member is None or member.is_removed:
        return "you are not among the members"
    if (member.public_key, member.hpke_key) != (me.public_key, me.hpke_key):
        return "your keys are not those of the member"
    if membership.present_epoch is None:
        return "the key of the present epoch is missing"
    return None


@dataclass(frozen=True, slots=True)
class _Talk:
    """One try with the inviter."""

    joining: Joining
    places: Sequence[Address]
    ways: Ways

    async def to_the_end(self) -> Gift:
        """Return what the inviter gives, or raise how it ended."""
        action: Action = self.joining.start()
        while isinstance(action, Ask):
            action = await self._answered(action.message)
        if isinstance(action, Ended):
            raise NotAdmittedError(action.cause)
        return action.gift

    async def _answered(self, question: bytes) -> Action:
        for turn in range(MAX_REPEATS):
            if turn:
                await asyncio.sleep(self.ways.repeat_seconds * turn)
            answer = await self._first_answer(question)
            if answer is None:
                continue
            with suppress(PeerError):
                return self.joining.receive(answer)
        raise NobodyAnswersError(f"{_NOBODY} {_NOTHING_KEPT}")

    async def _first_answer(self, question: bytes) -> bytes | None:
        asked = {
            asyncio.ensure_future(self._ask(place, number, question))
            for number, place in enumerate(self.places)
        }
        try:
            while asked:
                done, asked = await asyncio.wait(
                    asked, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    if (answer := task.result()) is not None:
                        return answer
            return None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(self, place: Address, number: int, question: bytes) -> bytes | None:
        await asyncio.sleep(number * STAGGER_SECONDS)
        try:
            return await self.ways.post(place, HANDLER_NAME, question)
        except PostError:
            return None


def _question(
    ticket: Ticket, who: CircleIdentity, founding: Statement, card: bytes
) -> Question:
    applicant = apply_to_circle(who.author, founding.space)
    return Question(
        secret=ticket.secret,
        nonce=bytes(16),
        public_key=applicant.public_key,
        hpke_key=applicant.hpke_key,
        name=applicant.name,
        consent=applicant.consent,
        card=card,
        gift=None,
        number=0,
    )


def _places(ticket: Ticket) -> list[Address]:
    places: list[Address] = []
    for text in ticket.addresses:
        with suppress(InvalidError):
            places.append(parse_address(text))
    return places


_FOREIGN: Final = "is for no circle that this version of Fractality understands"
_NOBODY: Final = (
    "The device that gave this ticket does not answer. It has to be running, and to be"
    " reachable from here at one of the addresses that the ticket names."
)
_NOTHING_KEPT: Final = "Nothing was kept on this device; try again later."
