"""The joiner's side of pairing, as questions to the inviter and what its answers mean.

Specification: docs/protocol/pairing.md. Rules of this file:

1. One try for one code as it was typed: who guesses must begin anew.
2. Nothing is sealed for the inviter before it has confirmed the key.
3. Whoever drives this keeps a gift only after having looked through it.
4. The gift becomes a device only when the inviter answered that it knows; until then
   it can be thrown away, and in every other case it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias, assert_never

from crdt.errors import MalformedError
from transport.conversation import Conversation
from transport.pairing_code import PairingCode
from transport.pairing_messages import (
    Answer,
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
    Receipt,
    Refuse,
    Welcome,
    decode_answer,
    decode_content,
    encode,
    encode_content,
)
from transport.password_agreement import PasswordAgreement, Randomness


class Waiting(Enum):
    """For which answer the joiner waits."""

    WELCOME = auto()
    PROPOSE = auto()
    GRANT = auto()
    PIECE = auto()
    FAREWELL = auto()
    NOTHING = auto()


_EXPECTED: Final[Mapping[Waiting, type[Answer]]] = {
    Waiting.WELCOME: Welcome,
    Waiting.PROPOSE: Propose,
    Waiting.GRANT: Grant,
    Waiting.PIECE: Piece,
    Waiting.FAREWELL: Farewell,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this and hand in the answer."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Consent:
    """Call `introduce` with a device that agrees to the proposal."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Examine:
    """Look through the gift, make it durable, and call `finish`."""

    gift: Gift


@dataclass(frozen=True, slots=True)
class Joined:
    """The inviter knows: the device may begin to be."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It came to nothing. Tell the inviter, if there is something to tell."""

    cause: Cause
    message: bytes | None = None


Action: TypeAlias = Ask | Consent | Examine | Joined | Ended


class Joining:
    """One try to join. Driven by the answers of the inviter."""

    def __init__(
        self, code: PairingCode, attempt: bytes, randomness: Randomness
    ) -> None:
        """Take the code and 16 fresh random bytes that tell this try from others."""
        self._attempt = attempt
        self._agreement = PasswordAgreement("joiner", code.password, randomness)
        self._conversation = Conversation()
        self.waiting = Waiting.NOTHING
        self._pieces: list[bytes] = []
        self._piece_count = 0

    def start(self) -> Ask:
        """Return the first question."""
        return self._asked(
            Hello(self._attempt, self._agreement.message), Waiting.WELCOME
        )

    def receive(self, message: bytes) -> Action:
        """Take the answer to the last question, or raise `PeerError`: then it is over.

        An answer that fits nothing ends the try, for the next one could not be trusted.
        """
        waiting, self.waiting = self.waiting, Waiting.NOTHING
        try:
            answer = decode_answer(message)
        except NewerVersionError:
            return Ended(Cause.VERSION)
        if isinstance(answer, Refuse):
            if answer.attempt != self._attempt and answer.cause is not Cause.VERSION:
                raise MalformedError(_OUT_OF_TURN)
            return Ended(answer.cause)
        if _EXPECTED.get(waiting) is not type(answer):
            raise MalformedError(_OUT_OF_TURN)
        if answer.attempt != self._attempt:
            raise MalformedError(_OUT_OF_TURN)
        match answer:
            case Welcome():
                return self._welcomed(answer)
            case Propose():
                plain = self._opened(answer.sealed)
                return Consent(decode_content(plain, Proposal))
            case Grant():
                self._piece_count = answer.pieces
                return self._collected(answer.piece)
            case Piece():
                if answer.number != len(self._pieces):
                    raise MalformedError(_OUT_OF_TURN)
                return self._collected(answer.piece)
            case Farewell():
                self._opened(answer.sealed)
                return Joined()
            case _:
                assert_never(answer)

    def introduce(self, newcomer: Newcomer) -> Ask:
        """Return the question whether this device is admitted."""
        sealed = self._conversation.seal("joiner", encode_content(newcomer))
        return self._asked(Introduce(self._attempt, sealed), Waiting.GRANT)

    def finish(self, *, is_kept: bool) -> Ask:
        """Return what tells the inviter whether the gift is whole and on the disk."""
        receipt = encode_content(Receipt(is_kept))
        sealed = self._conversation.seal("joiner", receipt)
        return self._asked(Finish(self._attempt, sealed), Waiting.FAREWELL)

    def _welcomed(self, welcome: Welcome) -> Action:
        self._conversation.agree(self._agreement.finish(welcome.agreement))
        self._conversation.add(welcome.agreement)
        if not self._conversation.confirms("inviter", welcome.confirmation):
            refusal = Refuse(self._attempt, Cause.WRONG_CODE)
            return Ended(Cause.WRONG_CODE, encode(refusal))
        self._conversation.add(welcome.confirmation)
        confirmation = self._conversation.confirmation("joiner")
        return self._asked(Confirm(self._attempt, confirmation), Waiting.PROPOSE)

    def _collected(self, piece: bytes) -> Action:
        self._pieces.append(piece)
        number = len(self._pieces)
        if number < self._piece_count:
            self.waiting = Waiting.PIECE
            return Ask(encode(Fetch(self._attempt, number)))
        plain = self._opened(b"".join(self._pieces))
        return Examine(decode_content(plain, Gift))

    def _opened(self, sealed: bytes) -> bytes:
        plain = self._conversation.open("inviter", sealed)
        self._conversation.add(sealed)
        return plain

    def _asked(
        self, question: Hello | Confirm | Introduce | Finish, waiting: Waiting
    ) -> Ask:
        message = encode(question)
        self._conversation.add(message)
        self.waiting = waiting
        return Ask(message)


_OUT_OF_TURN: Final = "An answer of the inviter does not fit the question."
