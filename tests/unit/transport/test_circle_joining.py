"""Joining a circle: who is let in, who is told why not, and what is given."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import PeerError
from tests.support.circle_joins import (
    APPLICANT,
    GOOD,
    HOST,
    INVITER_HPKE_SEED,
    JOINER_HPKE_SEED,
    TICKET,
    Inviter,
    carry,
    gift,
    joining,
)
from transport.circle_joining import (
    MAX_GIFTS,
    MAX_PERSONS,
    TOLD,
    Ask,
    Ended,
    Gifts,
    GiftTooLargeError,
    Given,
    Host,
    Invitation,
)
from transport.circle_messages import (
    MAX_PIECES,
    MAX_QUESTION_BYTES,
    PIECE_BYTES,
    Cause,
    Piece,
    Told,
    decode_gift,
    encode_gift,
    gift_hash,
    open_answer,
    open_question,
    seal_answer,
    seal_question,
)
from transport.requests import MAX_BODY_BYTES


def test_a_newcomer_gets_the_whole_gift() -> None:
    """However many pieces it takes, what arrives is what was given."""
    inviter = Inviter(gift=gift(statements=40, size=2_000))

    assert carry(joining(), inviter) == Given(inviter.gift)

    assert len(inviter.questions) == -(-len(encode_gift(inviter.gift)) // PIECE_BYTES)
    assert inviter.members == {APPLICANT.public_key}
    assert inviter.invitation.uses_left == 0


def test_every_question_has_a_nonce_of_its_own() -> None:
    """So no answer opens for another question."""
    inviter = Inviter(gift=gift(statements=40, size=2_000))
    carry(joining(), inviter)

    nonces = [each.nonce for each in inviter.questions]

    assert len(set(nonces)) == len(nonces) > 2


def test_a_lost_answer_costs_no_further_use() -> None:
    """Who was added and did not hear of it asks again and is given everything."""
    inviter = Inviter()
    inviter.answer(joining(seed="first").start().message)
    assert inviter.invitation.uses_left == 0
    inviter.now_ms = TICKET.expires_ms + 1

    assert carry(joining(seed="second"), inviter) == Given(inviter.gift)

    assert inviter.invitation.uses_left == 0


@pytest.mark.parametrize(
    ("invitation", "host", "now_ms", "cause"),
    [
        (GOOD, HOST, TICKET.expires_ms, Cause.EXPIRED),
        (Invitation(0, TICKET.expires_ms), HOST, 0, Cause.USED_UP),
        (GOOD, Host(MAX_PERSONS, is_open=True, is_paused=False), 0, Cause.FULL),
        (GOOD, Host(2, is_open=False, is_paused=False), 0, Cause.CLOSED),
        (GOOD, Host(2, is_open=True, is_paused=True), 0, Cause.PAUSED),
    ],
)
def test_who_has_a_ticket_is_told_why_it_is_not_let_in(
    invitation: Invitation, host: Host, now_ms: int, cause: Cause
) -> None:
    """And nothing is counted or changed."""
    inviter = Inviter(invitation=invitation, host=host, now_ms=now_ms)

    assert carry(joining(), inviter) == Ended(cause)

    assert inviter.members == set()
    assert inviter.invitation == invitation
    assert cause in TOLD


def test_who_was_removed_stays_out() -> None:
    """A good ticket does not bring back a pseudonym that is gone."""
    inviter = Inviter(gone={APPLICANT.public_key})

    assert carry(joining(), inviter) == Ended(Cause.REMOVED)


def test_a_wrong_secret_meets_silence() -> None:
    """Whatever else is so: expired, used up, member or not."""
    wrong = msgspec.structs.replace(APPLICANT, secret=b"x" * 16)
    sealed = seal_question(TICKET.circle, TICKET.hpke_key, wrong)

    assert Inviter().answer(sealed) is None
    assert Inviter(members={APPLICANT.public_key}).answer(sealed) is None
    assert Inviter(now_ms=TICKET.expires_ms).answer(sealed) is None


def test_a_changed_gift_begins_again_and_not_for_ever() -> None:
    """A roster that changes between all questions ends the try, not the patience."""
    inviter = Inviter(gift=gift(statements=40, size=2_000))
    joiner = joining()
    action = joiner.start()
    for size in range(10):
        inviter.gift, inviter.gifts = gift(statements=40, size=2_000 + size), Gifts()
        answer = inviter.answer(action.message)
        assert answer is not None
        following = joiner.receive(answer)
        if isinstance(following, Ended):
            assert following == Ended(Cause.FAILED)
            return
        assert isinstance(following, Ask)
        action = following
    pytest.fail("it was asked for ever")


def test_a_gift_that_was_begun_goes_on_though_the_roster_grew() -> None:
    """Pieces are of one gift."""
    inviter = Inviter(gift=gift(statements=40, size=2_000))
    before = inviter.gift
    joiner = joining()
    answer = inviter.answer(joiner.start().message)
    assert answer is not None
    action = joiner.receive(answer)
    inviter.gift = gift(statements=41, size=2_000)
    while isinstance(action, Ask):
        answer = inviter.answer(action.message)
        assert answer is not None
        action = joiner.receive(answer)

    assert action == Given(before)


def test_few_gifts_are_held() -> None:
    """Whoever asks, memory is bounded."""
    gifts = Gifts()
    names = [
        gifts.piece(APPLICANT, lambda size=size: gift(size=size)).gift  # type: ignore[misc]  # bound at once
        for size in range(1, 10)
    ]

    held = gifts._held  # noqa: SLF001  # what is held is the law

    assert list(held) == names[-MAX_GIFTS:]


def test_a_gift_beyond_the_limit_is_not_begun() -> None:
    """A circle's history has an end, which is told."""
    statements = MAX_PIECES * PIECE_BYTES // 60_000 + 1
    with pytest.raises(GiftTooLargeError):
        Gifts().piece(APPLICANT, lambda: gift(statements=statements, size=60_000))


def test_an_answer_fits_an_endpoint() -> None:
    """The largest piece, sealed, is no larger than what an endpoint carries."""
    piece = Piece(b"g" * 32, MAX_PIECES, MAX_PIECES - 1, b"p" * PIECE_BYTES)

    sealed = seal_answer(TICKET.circle, APPLICANT, piece)

    assert len(sealed) <= MAX_BODY_BYTES
    assert MAX_QUESTION_BYTES <= MAX_BODY_BYTES


def test_an_answer_opens_only_for_its_question() -> None:
    """Not for another nonce, not for another circle, not for another person."""
    sealed = seal_answer(TICKET.circle, APPLICANT, Told(Cause.FULL))
    other = msgspec.structs.replace(APPLICANT, nonce=b"n" * 16)

    for seed, question in (
        (JOINER_HPKE_SEED, other),
        (INVITER_HPKE_SEED, APPLICANT),
    ):
        with pytest.raises(PeerError):
            open_answer(TICKET.circle, seed, question, sealed)


@given(junk=st.binary(max_size=200))
def test_hostile_bytes_raise_a_peer_error(junk: bytes) -> None:
    """Whatever is brought, sealed or not."""
    for attempt in (
        lambda: decode_gift(junk),
        lambda: open_question(TICKET.circle, INVITER_HPKE_SEED, junk),
        lambda: joining().receive(junk),
    ):
        with pytest.raises(PeerError):
            attempt()


@given(
    pieces=st.integers(1, MAX_PIECES),
    number=st.integers(0, MAX_PIECES - 1),
    content=st.binary(max_size=64),
    name=st.sampled_from([b"g" * 32, gift_hash(b"\x01")]),
)
def test_a_dishonest_inviter_gives_nothing_that_is_kept(
    pieces: int, number: int, content: bytes, name: bytes
) -> None:
    """Pieces that are not a gift end in an error, or in another question."""
    joiner = joining()
    joiner.start()
    question = joiner._question  # noqa: SLF001  # the inviter has opened it
    piece = Piece(name, pieces, number, content)
    sealed = seal_answer(TICKET.circle, question, piece)

    try:
        action = joiner.receive(sealed)
    except PeerError:
        return

    assert isinstance(action, Ask)


def test_a_question_shows_no_secret() -> None:
    """Not even when it is printed by accident."""
    assert "s" * 16 not in repr(APPLICANT)
    assert repr(TICKET) == "<Ticket>"


def test_a_question_that_is_too_large_is_not_opened() -> None:
    """Size comes first."""
    with pytest.raises(PeerError):
        open_question(TICKET.circle, INVITER_HPKE_SEED, bytes(MAX_QUESTION_BYTES + 1))
