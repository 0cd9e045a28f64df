"""Joining a circle: what the joiner asks, and what the inviter makes of it.

Specification: docs/protocol/circle-joining.md. Rules of this file:

1. Whoever cannot show the secret of a ticket gets silence, whatever else is so.
2. Whoever is a member already is given what a newcomer gets, and no use is counted: an
   answer may have been lost.
3. Nothing is kept of a gift that is not whole.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias, assert_never

import msgspec

from crdt.errors import FractalityError, MalformedError
from crdt.ids import CircleId
from transport.circle_messages import (
    MAX_PIECES,
    NONCE_BYTES,
    PIECE_BYTES,
    Cause,
    Gift,
    Piece,
    Question,
    Told,
    decode_gift,
    encode_gift,
    gift_hash,
    open_answer,
    seal_question,
)
from transport.circle_ticket import Ticket

MAX_PERSONS: Final = 128
MAX_RESTARTS: Final = 3
"""So often a gift may change while it is fetched before the try is given up."""
MAX_GIFTS: Final = 4
"""So many gifts the inviter holds ready, those asked for last."""


class Standing(Enum):
    """What somebody who asks is in the circle."""

    STRANGER = "stranger"
    MEMBER = "member"
    GONE = "gone"
    """Removed, or left: final."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the inviter remembers of a ticket."""

    uses_left: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Host:
    """How it is with the circle at the inviter."""

    persons: int
    """How many are in the circle."""
    is_open: bool
    """Whether the inviter itself is still in it."""
    is_paused: bool


class Verdict(Enum):
    """What is to be done about a question, if its cause is not told."""

    SILENCE = "silence"
    ADMIT = "admit"
    """Add the person, and count a use in the same durable step."""
    GIVE = "give"
    """The person is a member: answer."""


def verdict(
    invitation: Invitation | None, standing: Standing, host: Host, now_ms: int
) -> Verdict | Cause:
    """Return what becomes of a question whose secret belongs to `invitation`."""
    if invitation is None:
        return Verdict.SILENCE
    if not host.is_open:
        return Cause.CLOSED
    if host.is_paused:
        return Cause.PAUSED
    match standing:
        case Standing.GONE:
            return Cause.REMOVED
        case Standing.MEMBER:
            return Verdict.GIVE
        case Standing.STRANGER:
            return _of_stranger(invitation, host, now_ms)
        case _:
            assert_never(standing)


def _of_stranger(invitation: Invitation, host: Host, now_ms: int) -> Verdict | Cause:
    if now_ms >= invitation.expires_ms:
        return Cause.EXPIRED
    if invitation.uses_left < 1:
        return Cause.USED_UP
    if host.persons >= MAX_PERSONS:
        return Cause.FULL
    return Verdict.ADMIT


class Gifts:
    """Gives gifts in pieces; what was begun goes on though the roster has grown."""

    def __init__(self) -> None:
        """Hold none."""
        self._held: OrderedDict[bytes, bytes] = OrderedDict()

    def piece(self, question: Question, fresh: Callable[[], Gift]) -> Piece:
        """Return the piece that is asked for, or the first one of a fresh gift.

        Raises `GiftTooLargeError`.
        """
        held = self._held.get(question.gift) if question.gift is not None else None
        number = question.number
        if question.gift is None or held is None or number * PIECE_BYTES >= len(held):
            encoded, number = encode_gift(fresh()), 0
        else:
            encoded = held
        name = gift_hash(encoded)
        self._held[name] = encoded
        self._held.move_to_end(name)
        while len(self._held) > MAX_GIFTS:
            self._held.popitem(last=False)
        pieces = -(-len(encoded) // PIECE_BYTES)
        if pieces > MAX_PIECES:
            raise GiftTooLargeError
        start = number * PIECE_BYTES
        return Piece(name, pieces, number, encoded[start : start + PIECE_BYTES])


class GiftTooLargeError(FractalityError):
    """The circle has stated more than can be given to a newcomer."""

    def __init__(self) -> None:
        super().__init__(
            "This circle has a longer history than a newcomer can be given. Nothing"
            " was changed; found a new circle."
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """Seal and send this; what the answer is, is for `receive`."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """All that a newcomer begins with; it has yet to be looked through."""

    gift: Gift


@dataclass(frozen=True, slots=True)
class Ended:
    """The inviter does not let this person in."""

    cause: Cause


Action: TypeAlias = Ask | Given | Ended


class Joining:
    """One try to join a circle; for the joiner."""

    def __init__(
        self,
        ticket: Ticket,
        applicant: Question,
        hpke_seed: bytes,
        randomness: Callable[[int], bytes],
    ) -> None:
        """Take how this person introduces itself, and what opens the answers.

        Nonce, gift and number of `applicant` do not matter.
        """
        self._ticket = ticket
        self._hpke_seed = hpke_seed
        self._randomness = randomness
        self._question = applicant
        self._pieces: dict[int, bytes] = {}
        self._restarts = 0

    @property
    def circle(self) -> CircleId:
        """The circle that is joined."""
        return self._ticket.circle

    def start(self) -> Ask:
        """Return the first question; raises `ForgedError` if the ticket's key is none.

        It may be sent again, to any address, for as long as no answer has come.
        """
        return self._ask(None, 0)

    def receive(self, sealed: bytes) -> Action:
        """Take an answer to the last question.

        Raises a `PeerError` for what is none: the question may be sent again.
        """
        answer = open_answer(self.circle, self._hpke_seed, self._question, sealed)
        match answer:
            case Told(cause):
                return Ended(cause)
            case Piece():
                return self._take(answer)
            case _:
                assert_never(answer)

    def _take(self, piece: Piece) -> Action:
        wanted = self._question.gift, self._question.number
        if wanted != (piece.gift, piece.number):
            if piece.number != 0:
                raise MalformedError(_UNASKED)
            # The first one of all, or of a gift that is given in place of another.
            self._restarts += wanted[0] is not None
            self._pieces.clear()
            if self._restarts > MAX_RESTARTS:
                return Ended(Cause.FAILED)
        self._pieces[piece.number] = piece.piece
        if piece.number + 1 < piece.pieces:
            return self._ask(piece.gift, piece.number + 1)
        return Given(_whole(self._pieces, piece))

    def _ask(self, gift: bytes | None, number: int) -> Ask:
        self._question = msgspec.structs.replace(
            self._question,
            nonce=self._randomness(NONCE_BYTES),
            gift=gift,
            number=number,
        )
        return Ask(seal_question(self.circle, self._ticket.hpke_key, self._question))


def _whole(pieces: Mapping[int, bytes], last: Piece) -> Gift:
    """Return the gift that pieces make; raises `MalformedError` if they do not."""
    encoded = b"".join(pieces[number] for number in sorted(pieces))
    if len(pieces) != last.pieces or gift_hash(encoded) != last.gift:
        raise MalformedError(_UNASKED)
    return decode_gift(encoded)


_UNASKED: Final = "The inviter answered something else than was asked."

TOLD: Final[Mapping[Cause, str]] = {
    Cause.EXPIRED: "This ticket has expired. Ask for another one.",
    Cause.USED_UP: (
        "This ticket has been used as often as it may be. Ask for another one."
    ),
    Cause.FULL: (
        f"This circle has {MAX_PERSONS} members, which is as many as a circle can have."
    ),
    Cause.REMOVED: (
        "You were in this circle and have left it or were removed. That is final for"
        " this circle; nothing was changed."
    ),
    Cause.CLOSED: (
        "Whoever gave you this ticket is not in the circle any more. Ask another"
        " member for a ticket."
    ),
    Cause.PAUSED: (
        "The device that gave this ticket is paused. Try again when it takes part"
        " again."
    ),
    Cause.FAILED: (
        "The inviting device could not let you in by a fault of its own. Nothing was"
        " changed here; try again, and then with another ticket."
    ),
}
"""What the person is told who was not let in."""
