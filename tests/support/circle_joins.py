"""A joiner and an inviter in memory, with keys and dice of the test's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from crdt.errors import PeerError
from crdt.keys import SigningKey, hpke_public_key
from transport.circle_joining import (
    Action,
    Ask,
    Ended,
    Gifts,
    Given,
    Host,
    Invitation,
    Joining,
    Standing,
    Verdict,
    verdict,
)
from transport.circle_messages import (
    Cause,
    Gift,
    Question,
    Told,
    open_question,
    seal_answer,
)
from transport.circle_ticket import Ticket

FOUNDING: Final = b"what founded the circle"
INVITER_HPKE_SEED: Final = b"I" * 32
JOINER_HPKE_SEED: Final = b"J" * 32
SECRET: Final = b"s" * 16
TICKET: Final = Ticket(
    founding=FOUNDING,
    public_key=SigningKey(b"i" * 32).public_key,
    hpke_key=hpke_public_key(INVITER_HPKE_SEED),
    secret=SECRET,
    expires_ms=1_790_000_000_000,
    addresses=("192.0.2.7:7374", "[2001:db8::7]:7374"),
)
APPLICANT: Final = Question(
    secret=SECRET,
    nonce=bytes(16),
    public_key=SigningKey(b"j" * 32).public_key,
    hpke_key=hpke_public_key(JOINER_HPKE_SEED),
    name="member-4a4a",
    consent=b"c" * 64,
    card=b"where the joiner is",
    gift=None,
    number=0,
)
GOOD: Final = Invitation(1, TICKET.expires_ms)
HOST: Final = Host(persons=2, is_open=True, is_paused=False)


def dice(seed: str) -> Callable[[int], bytes]:
    """Return randomness that a seed alone determines."""
    numbers = count()
    return lambda size: hashlib.shake_256(f"{seed} {next(numbers)}".encode()).digest(
        size
    )


def gift(statements: int = 3, size: int = 100) -> Gift:
    """Return a gift of so many statements."""
    return Gift(
        tuple(bytes([number % 256]) * size for number in range(statements)),
        (b"a card", b"another"),
    )


def joining(ticket: Ticket = TICKET, seed: str = "joiner") -> Joining:
    """Return a try to join."""
    return Joining(ticket, APPLICANT, JOINER_HPKE_SEED, dice(seed))


@dataclass
class Inviter:
    """Answers as the contract of the page says, with a roster that is a set."""

    gift: Gift = field(default_factory=gift)
    invitation: Invitation = GOOD
    host: Host = HOST
    now_ms: int = 0
    members: set[bytes] = field(default_factory=set)
    gone: set[bytes] = field(default_factory=set)
    gifts: Gifts = field(default_factory=Gifts)
    questions: list[Question] = field(default_factory=list)

    def answer(self, sealed: bytes) -> bytes | None:
        """Return the answer to a sealed question, None for silence."""
        try:
            question = open_question(TICKET.circle, INVITER_HPKE_SEED, sealed)
        except PeerError:
            return None
        self.questions.append(question)
        known = self.invitation if question.secret == SECRET else None
        found = verdict(known, self.standing(question), self.host, self.now_ms)
        match found:
            case Verdict.SILENCE:
                return None
            case Cause():
                return seal_answer(TICKET.circle, question, Told(found))
            case Verdict.ADMIT:
                self.members.add(question.public_key)
                left = self.invitation.uses_left - 1
                self.invitation = Invitation(left, self.invitation.expires_ms)
            case Verdict.GIVE:
                pass
        piece = self.gifts.piece(question, lambda: self.gift)
        return seal_answer(TICKET.circle, question, piece)

    def standing(self, question: Question) -> Standing:
        """Return what somebody is who asks."""
        if question.public_key in self.gone:
            return Standing.GONE
        is_member = question.public_key in self.members
        return Standing.MEMBER if is_member else Standing.STRANGER


def carry(joiner: Joining, inviter: Inviter) -> Given | Ended:
    """Carry one try to its end."""
    action: Action = joiner.start()
    while isinstance(action, Ask):
        answer = inviter.answer(action.message)
        assert answer is not None
        action = joiner.receive(answer)
    return action
