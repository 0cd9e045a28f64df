"""Two sides that pair in memory, with a clock and dice of the test's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from transport.invitation import Admit, Dismiss, Invitation, Reply
from transport.joining import Action, Ask, Consent, Ended, Examine, Joined, Joining
from transport.pairing_code import PairingCode, parse_code
from transport.pairing_messages import Cause, Gift, Newcomer, Proposal

CODE = parse_code("7-orbit-ladder")
OTHER = parse_code("7-orbit-lamp")
PROPOSAL = Proposal(b"s" * 16, b"p" * 32, "ada", b"d" * 16, "laptop")
NEWCOMER = Newcomer(b"k" * 32, b"h" * 32, 7, "phone", b"c" * 64)
GIFT = Gift(b"S" * 32, b"keys", (b"one", b"two"), ("192.0.2.1:7374",))


def dice(seed: str) -> Callable[[int], bytes]:
    """Return randomness that a seed alone determines."""
    numbers = count()
    return lambda size: hashlib.shake_256(f"{seed} {next(numbers)}".encode()).digest(
        size
    )


def invitation(code: PairingCode = CODE, *, seed: str = "inviter") -> Invitation:
    """Return an invitation that was opened at time 0."""
    return Invitation(code, PROPOSAL, dice(seed), 0)


def joining(code: PairingCode = CODE, *, seed: str = "joiner") -> Joining:
    """Return a try to join."""
    return Joining(code, dice(f"{seed} attempt")(16), dice(seed))


@dataclass
class Wire:
    """Carries each question to the invitation and each answer back."""

    invitation: Invitation
    now_ms: int = 0
    change: Callable[[bytes], bytes] = bytes
    """What becomes of every message on its way."""
    is_kept: bool = True
    rejection: Cause | None = None
    gift: Gift = GIFT
    newcomer: Newcomer = NEWCOMER
    said: list[bytes] = field(default_factory=list)
    """Every message, questions and answers in turn."""
    admitted: list[Newcomer] = field(default_factory=list)
    dismissed: list[Newcomer] = field(default_factory=list)
    examined: list[Gift] = field(default_factory=list)

    def ask(self, question: bytes) -> bytes | None:
        """Return the answer to a question as it arrives."""
        self.said.append(question)
        answer = self._answer(self.change(question))
        if answer is None:
            return None
        self.said.append(answer)
        return self.change(answer)

    def run(self, joiner: Joining) -> Joined | Ended:
        """Carry one try to its end."""
        action: Action = joiner.start()
        while True:
            match action:
                case Ask(message):
                    answer = self.ask(message)
                    assert answer is not None
                    action = joiner.receive(answer)
                case Consent():
                    action = joiner.introduce(self.newcomer)
                case Examine(gift):
                    self.examined.append(gift)
                    action = joiner.finish(is_kept=self.is_kept)
                case Joined() | Ended():
                    if isinstance(action, Ended) and action.message is not None:
                        self.ask(action.message)
                    return action

    def _answer(self, question: bytes) -> bytes | None:
        match self.invitation.receive(question, self.now_ms):
            case Reply(message):
                return message
            case Admit(newcomer):
                if self.rejection is not None:
                    return self.invitation.rejected(self.rejection)
                self.admitted.append(newcomer)
                return self.invitation.admitted(self.gift, self.now_ms)
            case Dismiss(newcomer, message):
                self.dismissed.append(newcomer)
                return message
