"""The inviter's side of pairing: one code, at most five tries, ten minutes.

Specification: docs/protocol/pairing.md. Rules of this file:

1. Every first message of an attempt is a try, whatever becomes of it: it may guess.
2. Nothing secret leaves before the joiner has confirmed the key.
3. A question that is asked again gets the same answer again, for answers get lost.
4. A device that was added and never said that it has everything is taken out again: by
   rule 4 of `transport.joining` it keeps nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeAlias, assert_never

from crdt.errors import MalformedError
from transport.conversation import Conversation
from transport.pairing_code import PairingCode
from transport.pairing_messages import (
    ATTEMPT_BYTES,
    Cause,
    Confirm,
    Farewell,
    Fetch,
    Finish,
    Gift,
    Grant,
    Hello,
    Introduce,
    Newcomer,
    NewerVersionError,
    Piece,
    Proposal,
    Propose,
    Question,
    Receipt,
    Refuse,
    Welcome,
    cut,
    decode_content,
    decode_question,
    encode,
    encode_content,
)
from transport.password_agreement import PasswordAgreement, Randomness

MAX_TRIES: Final = 5
LIFETIME_MS: Final = 10 * 60 * 1000
FINISH_MS: Final = 2 * 60 * 1000
"""How long an added device may take to say that it has everything."""


class State(Enum):
    """How an invitation stands."""

    OPEN = auto()
    ADDED = auto()
    """A device was added and has not yet said that it has everything."""
    JOINED = auto()
    ENDED = auto()


class _Step(Enum):
    WELCOMED = auto()
    PROPOSED = auto()
    ADMITTING = auto()
    GRANTED = auto()
    OVER = auto()


_EXPECTED: Final[Mapping[_Step, tuple[type[Question], ...]]] = {
    _Step.WELCOMED: (Confirm,),
    _Step.PROPOSED: (Introduce,),
    _Step.GRANTED: (Fetch, Finish),
}
"""What may be said in each step, besides `Refuse`; nothing else is listened to."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Admit:
    """Add the device to the roster; then call `admitted` or `rejected`."""

    newcomer: Newcomer


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Remove the device that was added; then send the reply, if there is one."""

    newcomer: Newcomer
    message: bytes | None


Action: TypeAlias = Reply | Admit | Dismiss


@dataclass(slots=True)
class _Attempt:
    conversation: Conversation
    question: bytes
    """The last one that was answered."""
    answer: bytes
    step: _Step = _Step.OVER
    pieces: Sequence[bytes] = ()
    """Of the gift, once it is granted."""

    def answered(self, step: _Step, answer: bytes) -> bytes:
        """Note and return what goes out."""
        self.step, self.answer = step, answer
        return answer


@dataclass(slots=True)
class Invitation:
    """One invitation. Driven by messages of joiners, by the clock, and by its person.

    Every method that takes `now_ms` takes the same clock, in milliseconds.
    """

    code: PairingCode
    proposal: Proposal
    randomness: Randomness
    opened_ms: int
    state: State = State.OPEN
    cause: Cause | None = None
    """Why the invitation ended, or the last attempt did while it is open."""
    newcomer: Newcomer | None = None
    """The device that was admitted."""
    _attempts: dict[bytes, _Attempt] = field(default_factory=dict)
    _admitting: bytes | None = None
    _added_ms: int = 0

    @property
    def expires_ms(self) -> int:
        """From when on the code is worth nothing."""
        return self.opened_ms + LIFETIME_MS

    @property
    def due_ms(self) -> int | None:
        """When `expire` should be called; None if nothing is waited for."""
        match self.state:
            case State.OPEN:
                return self.expires_ms
            case State.ADDED:
                return self._added_ms + FINISH_MS
            case State.JOINED | State.ENDED:
                return None

    @property
    def tries_left(self) -> int:
        """How many more attempts may begin."""
        return MAX_TRIES - len(self._attempts)

    def receive(self, message: bytes, now_ms: int) -> Action:
        """Take a message of a joiner, or raise `PeerError`.

        Then nothing changed, but that a try may have been counted.
        """
        try:
            question = decode_question(message)
        except NewerVersionError:
            return Reply(encode(Refuse(bytes(ATTEMPT_BYTES), Cause.VERSION)))
        attempt = self._attempts.get(question.attempt)
        if attempt is not None and attempt.question == message:
            return Reply(attempt.answer)
        if self.state is State.OPEN and now_ms >= self.expires_ms:
            self._end(Cause.EXPIRED)
        if isinstance(question, Hello):
            return self._begin(question, message)
        if attempt is None:
            raise MalformedError(_OUT_OF_TURN)
        if isinstance(question, Refuse):
            return self._given_up(attempt, question, message)
        if type(question) not in _EXPECTED.get(attempt.step, ()):
            raise MalformedError(_OUT_OF_TURN)
        if self.state is State.ENDED or (
            self.state is not State.OPEN and question.attempt != self._admitting
        ):
            return self._refused(question.attempt, message, self.cause or Cause.TAKEN)
        return self._continued(attempt, question, message)

    def admitted(self, gift: Gift, now_ms: int) -> bytes:
        """Return the reply to a joiner whose device is durably in the roster."""
        attempt, name = self._at_the_door()
        sealed = attempt.conversation.seal("inviter", encode_content(gift))
        attempt.conversation.add(sealed)
        attempt.pieces = cut(sealed)
        self.state, self._added_ms = State.ADDED, now_ms
        grant = Grant(name, len(attempt.pieces), attempt.pieces[0])
        return attempt.answered(_Step.GRANTED, encode(grant))

    def rejected(self, cause: Cause) -> bytes:
        """Return the reply to a joiner whose device was not added."""
        attempt, name = self._at_the_door()
        self._admitting = self.newcomer = None
        return self._refused(name, attempt.question, cause).message

    def expire(self, now_ms: int) -> Dismiss | None:
        """Let time pass; return what is to be done about a device that fell silent."""
        if self.state is State.OPEN and now_ms >= self.expires_ms:
            self._end(Cause.EXPIRED)
        if self.state is not State.ADDED or now_ms < (self.due_ms or 0):
            return None
        return self._dismissed(None)

    def cancel(self) -> None:
        """End the invitation, unless a device was added already."""
        if self.state is State.OPEN:
            self._end(Cause.CANCELLED)

    def _begin(self, hello: Hello, message: bytes) -> Action:
        if self.state is State.OPEN and not self.tries_left:
            self._end(Cause.SPENT)
        if self.state is not State.OPEN:
            cause = self.cause or Cause.TAKEN
            return Reply(encode(Refuse(hello.attempt, cause)))
        if hello.attempt in self._attempts:
            raise MalformedError(_OUT_OF_TURN)
        conversation = Conversation()
        # Counted before anything of it is looked at.
        attempt = self._attempts[hello.attempt] = _Attempt(
            conversation, message, encode(Refuse(hello.attempt, Cause.WRONG_CODE))
        )
        agreement = PasswordAgreement("inviter", self.code.password, self.randomness)
        conversation.agree(agreement.finish(hello.agreement))
        conversation.add(message)
        conversation.add(agreement.message)
        confirmation = conversation.confirmation("inviter")
        conversation.add(confirmation)
        welcome = Welcome(hello.attempt, agreement.message, confirmation)
        return Reply(attempt.answered(_Step.WELCOMED, encode(welcome)))

    def _continued(
        self,
        attempt: _Attempt,
        question: Confirm | Introduce | Fetch | Finish,
        message: bytes,
    ) -> Action:
        match question:
            case Confirm():
                return self._confirmed(attempt, question, message)
            case Introduce():
                return self._introduced(attempt, question, message)
            case Fetch():
                return _fetched(attempt, question)
            case Finish():
                return self._finished(attempt, question, message)
            case _:
                assert_never(question)

    def _confirmed(self, attempt: _Attempt, said: Confirm, message: bytes) -> Action:
        if not attempt.conversation.confirms("joiner", said.confirmation):
            return self._refused(said.attempt, message, Cause.WRONG_CODE)
        attempt.conversation.add(message)
        attempt.question = message
        sealed = attempt.conversation.seal("inviter", encode_content(self.proposal))
        attempt.conversation.add(sealed)
        answer = encode(Propose(said.attempt, sealed))
        return Reply(attempt.answered(_Step.PROPOSED, answer))

    def _introduced(self, attempt: _Attempt, said: Introduce, message: bytes) -> Action:
        plain = attempt.conversation.open("joiner", said.sealed)
        newcomer = decode_content(plain, Newcomer)
        if self._admitting is not None:
            return self._refused(said.attempt, message, Cause.TAKEN)
        attempt.conversation.add(message)
        attempt.question, attempt.step = message, _Step.ADMITTING
        self._admitting, self.newcomer = said.attempt, newcomer
        return Admit(newcomer)

    def _finished(self, attempt: _Attempt, said: Finish, message: bytes) -> Action:
        plain = attempt.conversation.open("joiner", said.sealed)
        receipt = decode_content(plain, Receipt)
        attempt.conversation.add(message)
        attempt.question = message
        sealed = attempt.conversation.seal("inviter", b"")
        answer = encode(Farewell(said.attempt, sealed))
        attempt.answered(_Step.OVER, answer)
        if not receipt.is_kept:
            return self._dismissed(answer)
        self.state, self.cause = State.JOINED, None
        return Reply(answer)

    def _given_up(self, attempt: _Attempt, said: Refuse, message: bytes) -> Action:
        """The joiner says in the clear why it goes no further; anybody could."""
        if attempt.step not in {_Step.WELCOMED, _Step.PROPOSED}:
            raise MalformedError(_OUT_OF_TURN)
        return self._refused(said.attempt, message, said.cause)

    def _refused(self, name: bytes, message: bytes, cause: Cause) -> Reply:
        attempt = self._attempts[name]
        attempt.question = message
        if self.state is State.OPEN:
            self.cause = cause
        answer = attempt.answered(_Step.OVER, encode(Refuse(name, cause)))
        if self.state is State.OPEN and not self.tries_left and self._all_over():
            self._end(Cause.SPENT)
        return Reply(answer)

    def _at_the_door(self) -> tuple[_Attempt, bytes]:
        name = self._admitting
        attempt = None if name is None else self._attempts[name]
        if name is None or attempt is None or attempt.step is not _Step.ADMITTING:
            msg = "no device is waiting to be admitted"
            raise ValueError(msg)
        return attempt, name

    def _dismissed(self, answer: bytes | None) -> Dismiss:
        newcomer = self.newcomer
        if newcomer is None:
            msg = "no device was admitted"
            raise ValueError(msg)
        self._end(Cause.FAILED)
        return Dismiss(newcomer, answer)

    def _all_over(self) -> bool:
        return all(each.step is _Step.OVER for each in self._attempts.values())

    def _end(self, cause: Cause) -> None:
        self.state, self.cause = State.ENDED, cause


def _fetched(attempt: _Attempt, said: Fetch) -> Reply:
    if said.number >= len(attempt.pieces):
        raise MalformedError(_OUT_OF_TURN)
    piece = Piece(said.attempt, said.number, attempt.pieces[said.number])
    return Reply(encode(piece))


_OUT_OF_TURN: Final = "A message of a pairing came out of turn; it was dropped."
