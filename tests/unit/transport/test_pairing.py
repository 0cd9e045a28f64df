"""Two devices that share a code pair; whoever does not share it learns nothing."""

import msgspec
import pytest

from crdt.errors import PeerError
from tests.support.pairings import (
    GIFT,
    NEWCOMER,
    OTHER,
    PROPOSAL,
    Wire,
    invitation,
    joining,
)
from transport.invitation import (
    FINISH_MS,
    LIFETIME_MS,
    MAX_TRIES,
    Dismiss,
    State,
)
from transport.joining import Ask, Consent, Ended, Joined
from transport.pairing_messages import (
    MAX_ANSWER_BYTES,
    Cause,
    Hello,
    decode_question,
    encode,
)


def joined() -> Wire:
    """Return what was said while a device joined."""
    wire = Wire(invitation())
    assert wire.run(joining()) == Joined()
    return wire


def guess(wire: Wire, number: int) -> Joined | Ended:
    """Try to join with the wrong code."""
    return wire.run(joining(OTHER, seed=f"guess {number}"))


def test_who_has_the_code_joins() -> None:
    """Both sides end knowing each other, and the gift arrives as it was given."""
    wire = Wire(invitation())

    ended = wire.run(joining())

    assert ended == Joined()
    assert wire.invitation.state is State.JOINED
    assert (wire.admitted, wire.examined, wire.dismissed) == ([NEWCOMER], [GIFT], [])


def test_nothing_that_is_said_shows_who_pairs() -> None:
    """Names, keys and secrets are sealed."""
    said = b"".join(joined().said)

    for secret in (
        GIFT.person_secret,
        GIFT.space_keys,
        NEWCOMER.public_key,
        PROPOSAL.person_public_key,
        b"phone",
        b"laptop",
        b"orbit",
    ):
        assert secret not in said


def test_a_wrong_code_is_told_to_both() -> None:
    """Neither side learns more than that the code was another one."""
    wire = Wire(invitation())

    ended = guess(wire, 1)

    assert isinstance(ended, Ended)
    assert ended.cause is Cause.WRONG_CODE
    assert (wire.invitation.state, wire.invitation.cause) == (
        State.OPEN,
        Cause.WRONG_CODE,
    )
    assert not wire.admitted
    assert not wire.examined


def test_five_wrong_codes_end_the_invitation() -> None:
    """After the fifth guess the right code is of no use any more."""
    wire = Wire(invitation())
    for number in range(MAX_TRIES):
        assert wire.invitation.tries_left == MAX_TRIES - number
        guess(wire, number)

    ended = wire.run(joining())

    assert wire.invitation.state is State.ENDED
    assert ended == Ended(Cause.SPENT)


def test_a_wrong_code_leaves_room_for_the_right_one() -> None:
    """Four slips of the pen do no harm."""
    wire = Wire(invitation())
    for number in range(MAX_TRIES - 1):
        guess(wire, number)

    assert wire.run(joining()) == Joined()


def test_a_try_counts_with_its_first_message() -> None:
    """Who begins and falls silent has used up a try, also with rubbish."""
    wire = Wire(invitation())
    for number in range(MAX_TRIES - 1):
        wire.ask(joining(OTHER, seed=str(number)).start().message)
    hello = decode_question(joining(seed="rubbish").start().message)
    rubbish = encode(Hello(hello.attempt, b"A" + b"\xff" * 32))
    with pytest.raises(PeerError):
        wire.invitation.receive(rubbish, 0)

    assert wire.invitation.tries_left == 0
    assert wire.run(joining()) == Ended(Cause.SPENT)


@pytest.mark.parametrize("late_by", [0, 1, LIFETIME_MS])
def test_a_code_is_worth_nothing_after_ten_minutes(late_by: int) -> None:
    """The clock that is passed in decides, and the joiner is told."""
    wire = Wire(invitation(), now_ms=LIFETIME_MS + late_by)

    assert wire.run(joining()) == Ended(Cause.EXPIRED)
    assert wire.invitation.state is State.ENDED


def test_a_try_that_outlasts_the_invitation_ends() -> None:
    """What began in time must also be confirmed in time."""
    wire = Wire(invitation())
    joiner = joining()
    welcome = wire.ask(joiner.start().message)
    assert welcome is not None
    confirm = joiner.receive(welcome)
    assert isinstance(confirm, Ask)

    wire.now_ms = LIFETIME_MS
    refusal = wire.ask(confirm.message)

    assert refusal is not None
    assert joiner.receive(refusal) == Ended(Cause.EXPIRED)


def test_a_cancelled_invitation_is_over() -> None:
    """Who types the code afterwards is told why it does not work."""
    wire = Wire(invitation())
    wire.invitation.cancel()

    assert wire.run(joining()) == Ended(Cause.CANCELLED)


def test_a_second_device_is_not_let_in() -> None:
    """An invitation is for one device, whoever else has the code."""
    wire = joined()

    assert wire.run(joining(seed="second")) == Ended(Cause.TAKEN)
    assert wire.admitted == [NEWCOMER]


def test_a_device_that_is_rejected_leaves_the_invitation_open() -> None:
    """The joiner learns why, and may try again."""
    wire = Wire(invitation(), rejection=Cause.CLASH)

    assert wire.run(joining()) == Ended(Cause.CLASH)
    wire.rejection = None
    assert wire.run(joining(seed="again")) == Joined()


def test_an_answer_that_was_lost_is_given_again() -> None:
    """Each question may be asked twice: nothing is counted, added or sealed twice."""
    wire = Wire(invitation())

    class Doubled(Wire):
        def ask(self, question: bytes) -> bytes | None:
            first = super().ask(question)
            assert super().ask(question) == first
            return first

    wire = Doubled(invitation())

    assert wire.run(joining()) == Joined()
    assert wire.admitted == [NEWCOMER]
    assert wire.invitation.tries_left == MAX_TRIES - 1


def test_a_large_gift_comes_in_pieces() -> None:
    """A roster that no message could carry arrives whole and in order."""
    statements = tuple(bytes((number,)) * 60_000 for number in range(20))
    wire = Wire(invitation(), gift=msgspec.structs.replace(GIFT, statements=statements))

    assert wire.run(joining()) == Joined()
    assert wire.examined == [wire.gift]
    assert max(map(len, wire.said)) <= MAX_ANSWER_BYTES


def test_a_gift_that_is_not_kept_is_taken_back() -> None:
    """A joiner that found a fault says so, and its device is removed again."""
    wire = Wire(invitation(), is_kept=False)

    wire.run(joining())

    assert wire.dismissed == [NEWCOMER]
    assert (wire.invitation.state, wire.invitation.cause) == (
        State.ENDED,
        Cause.FAILED,
    )


def silent_after_the_gift() -> Wire:
    """Return an invitation whose joiner never said that it has everything."""
    wire = Wire(invitation())
    joiner = joining()
    action: object = joiner.start()
    while isinstance(action, Ask | Consent):
        if isinstance(action, Consent):
            action = joiner.introduce(NEWCOMER)
            continue
        answer = wire.ask(action.message)
        assert answer is not None
        action = joiner.receive(answer)
    return wire


def test_a_device_that_falls_silent_is_taken_out_again() -> None:
    """Two minutes after it was added, and not before."""
    wire = silent_after_the_gift()

    assert wire.invitation.expire(FINISH_MS - 1) is None
    assert wire.invitation.expire(FINISH_MS) == Dismiss(NEWCOMER, None)
    assert wire.invitation.expire(FINISH_MS) is None


def test_an_added_device_is_not_cancelled() -> None:
    """Whoever gives up while a device takes its keys leaves that to its end."""
    wire = silent_after_the_gift()

    wire.invitation.cancel()

    assert wire.invitation.state is State.ADDED
