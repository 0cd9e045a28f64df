"""Who changes, swaps, replays or invents messages of a pairing gets nothing."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import PeerError
from tests.support.pairings import (
    CODE,
    NEWCOMER,
    OTHER,
    PROPOSAL,
    Wire,
    dice,
    invitation,
    joining,
)
from transport.invitation import (
    Invitation,
    Reply,
    State,
)
from transport.joining import Ask, Consent, Ended, Joined, Joining
from transport.pairing_messages import (
    Cause,
    Refuse,
    Welcome,
    decode_answer,
    decode_question,
    encode,
)

MESSAGES: Final = 8


def joined() -> Wire:
    """Return what was said while a device joined."""
    wire = Wire(invitation())
    assert wire.run(joining()) == Joined()
    return wire


@pytest.mark.parametrize("place", range(MESSAGES))
def test_a_changed_message_ends_it(place: int) -> None:
    """Wherever one bit is turned, no device joins and nothing is believed."""
    seen = iter(range(MESSAGES))

    def change(message: bytes) -> bytes:
        if next(seen, None) != place:
            return message
        return message[:-1] + bytes((message[-1] ^ 1,))

    wire = Wire(invitation(), change=change)

    try:
        ended = wire.run(joining())
    except PeerError:
        ended = Ended(Cause.FAILED)

    assert isinstance(ended, Ended)
    assert (wire.invitation.state is State.JOINED) == (place == MESSAGES - 1)


def test_one_between_the_two_gets_nothing() -> None:
    """Who answers each with messages of its own confirms to neither."""
    inviter, joiner = Wire(invitation()), joining()
    hello = decode_question(joiner.start().message)
    guessing = Joining(OTHER, hello.attempt, dice("between"))
    pretending = Invitation(OTHER, PROPOSAL, dice("pretending"), 0)

    to_inviter = inviter.ask(guessing.start().message)
    to_joiner = pretending.receive(encode(hello), 0)

    assert to_inviter is not None
    assert isinstance(to_joiner, Reply)
    assert isinstance(guessing.receive(to_inviter), Ended)
    refusal = joiner.receive(to_joiner.message)
    assert isinstance(refusal, Ended)
    assert refusal.cause is Cause.WRONG_CODE
    assert inviter.admitted == []


def test_a_swapped_half_of_the_key_is_noticed() -> None:
    """Who passes all on but for its own half in the welcome is not believed."""
    wire, joiner = Wire(invitation()), joining()
    answer = wire.ask(joiner.start().message)
    assert answer is not None
    welcome = decode_answer(answer)
    assert isinstance(welcome, Welcome)
    other = Invitation(CODE, PROPOSAL, dice("other"), 0)
    swapped = other.receive(joining(seed="other").start().message, 0)
    assert isinstance(swapped, Reply)
    foreign = decode_answer(swapped.message)
    assert isinstance(foreign, Welcome)

    ended = joiner.receive(
        encode(Welcome(welcome.attempt, foreign.agreement, welcome.confirmation))
    )

    assert isinstance(ended, Ended)
    assert ended.cause is Cause.WRONG_CODE


def test_a_recording_is_of_no_use() -> None:
    """Replayed to another invitation with the same code, it opens nothing."""
    recorded = joined().said[::2]
    again = invitation(seed="another day")

    again.receive(recorded[0], 0)
    refusal = again.receive(recorded[1], 0)

    assert isinstance(refusal, Reply)
    assert isinstance(decode_answer(refusal.message), Refuse)
    for question in recorded[2:]:
        with pytest.raises(PeerError):
            again.receive(question, 0)
    assert again.newcomer is None


def test_an_own_message_sent_back_is_refused() -> None:
    """A joiner does not agree with itself."""
    joiner = joining()
    hello = decode_question(joiner.start().message)
    mirrored = encode(
        Welcome(hello.attempt, getattr(hello, "agreement", b""), b"c" * 32)
    )

    with pytest.raises(PeerError):
        joiner.receive(mirrored)


def hostile(said: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return rubbish, and messages that were said, cut and changed."""

    def damaged(message: bytes, place: int, value: int, end: int) -> bytes:
        place %= len(message)
        return (message[:place] + bytes((value,)) + message[place + 1 :])[:end]

    return st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda tail: b"\x01" + tail),
        st.builds(
            damaged,
            st.sampled_from(said),
            st.integers(0, 500),
            st.integers(0, 255),
            st.integers(0, 500),
        ),
    )


RECORDED: Final = joined().said


def survives(receive: Callable[[], object]) -> None:
    """Let hostile bytes be refused in no other way than by `PeerError`."""
    try:
        receive()
    except PeerError:
        return


@given(st.lists(hostile(RECORDED), max_size=4))
def test_hostile_questions_admit_nobody(messages: list[bytes]) -> None:
    """Whatever strangers send, an error of a peer is the worst that comes of it."""
    invited = invitation(seed="hostile")

    for message in messages:
        survives(lambda message=message: invited.receive(message, 0))  # type: ignore[misc]

    assert invited.newcomer is None


@given(st.integers(0, 3), hostile(RECORDED))
def test_hostile_answers_give_nothing(honest: int, message: bytes) -> None:
    """Whenever a joiner is answered by rubbish, it neither joins nor examines."""
    wire = Wire(invitation())
    joiner = joining()
    action: object = joiner.start()
    while honest and isinstance(action, Ask):
        answer = wire.ask(action.message)
        assert answer is not None
        action = joiner.receive(answer)
        honest -= 1
        if isinstance(action, Consent):
            action = joiner.introduce(NEWCOMER)

    if message not in RECORDED:
        try:
            action = joiner.receive(message)
        except PeerError:
            return
        assert isinstance(action, Ended)
