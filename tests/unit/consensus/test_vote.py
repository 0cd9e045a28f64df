"""Votes: one encoding, limits, which of them stand, and whom a tally counts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.contribution import MAX_SEQUENCE
from consensus.errors import Fault, InvalidRecordError
from consensus.vote import (
    HELD,
    MAX_VOTE_BYTES,
    Choice,
    Tally,
    Vote,
    Votes,
    cast_vote,
    decode_vote,
    next_vote_sequence,
    sign_vote,
    verify_vote,
)
from crdt.errors import ConflictError, ForgedError
from crdt.keys import Domain, SigningKey
from tests.support.contributions import CIRCLE, author

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "vote.md").read_text()
GOLDEN: Final[list[dict[str, Any]]] = json.loads(
    (ROOT / "tests" / "vectors" / "vote.json").read_text()
)
KEY: Final = SigningKey(bytes(range(32)))
NODES: Final = [bytes([number]) * 32 for number in range(4)]
FIELDS: Final = ("version", "circle", "author", "key", "sequence", "choice")

votes = st.builds(
    lambda who, node, sequence, choice: cast_vote(
        CIRCLE, author(who), NODES[node], sequence, choice
    ),
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(Choice),
)


def encoded(**changed: Any) -> bytes:
    """Return a vote with some fields as given."""
    values = (1, CIRCLE, author(1), NODES[1], 7, 1)
    fields = dict(zip(FIELDS, values, strict=True)) | changed
    return msgspec.msgpack.encode(list(fields.values()))


def fault_of(record: bytes) -> Fault:
    """Return why a vote is refused."""
    with pytest.raises(InvalidRecordError) as refused:
        decode_vote(record)
    return refused.value.fault


def held(said: Sequence[Vote]) -> set[bytes]:
    """Return the ids of what is held of some votes."""
    ballot = Votes()
    for vote in said:
        ballot.put(vote)
    return {vote.id for vote in ballot}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["name"]))
def test_votes_have_their_golden_bytes(case: dict[str, Any]) -> None:
    """What a member says has the bytes, id and signature that were written down."""
    key = SigningKey(bytes.fromhex(case["seed"]))
    vote = cast_vote(
        bytes.fromhex(case["circle"]),
        key.public_key,
        bytes.fromhex(case["key"]),
        case["sequence"],
        Choice(case["choice"]),
    )

    assert vote.encoded.hex() == case["record"]
    assert vote.id.hex() == case["id"]
    assert sign_vote(key, vote).hex() == case["signature"]
    assert decode_vote(bytes.fromhex(case["record"])) == vote


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"version": 2}, Fault.VERSION),
        ({"version": 0}, Fault.FORM),
        ({"circle": bytes(31)}, Fault.FORM),
        ({"author": bytes(33)}, Fault.FORM),
        ({"key": bytes(16)}, Fault.FORM),
        ({"key": "a" * 32}, Fault.FORM),
        ({"sequence": -1}, Fault.SEQUENCE),
        ({"sequence": 2.0**64}, Fault.FORM),
        ({"choice": 3}, Fault.FORM),
        ({"choice": None}, Fault.FORM),
        ({"more": 0}, Fault.FORM),
        ({"more": bytes(100)}, Fault.SIZE),
    ],
)
def test_a_vote_within_no_limits_is_refused(
    changed: dict[str, Any], fault: Fault
) -> None:
    """Each limit refuses a vote by its own name."""
    assert fault_of(encoded(**changed)) is fault


def test_one_vote_has_one_encoding() -> None:
    """A longer way to write a number or a length is no vote."""
    record = encoded()

    assert fault_of(record[:-2] + b"\xcc\x07\x01") is Fault.ENCODING
    assert fault_of(b"\xdc\x00\x06" + record[1:]) is Fault.ENCODING
    assert fault_of(record + b"\0") is Fault.FORM
    assert fault_of(record[:-1]) is Fault.FORM
    largest = decode_vote(encoded(sequence=MAX_SEQUENCE))
    assert (largest.sequence, len(largest.encoded) < MAX_VOTE_BYTES) == (
        MAX_SEQUENCE,
        True,
    )


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused(content: bytes) -> None:
    """Whatever comes is a vote or an `InvalidRecordError`."""
    try:
        vote = decode_vote(content)
    except InvalidRecordError:
        return
    assert vote.encoded == content


def test_a_signature_is_the_authors_for_this_purpose() -> None:
    """Another key, another domain or another choice is not signed by it."""
    vote = cast_vote(CIRCLE, KEY.public_key, NODES[0], 1, Choice.AFFIRM)
    other = cast_vote(CIRCLE, KEY.public_key, NODES[0], 1, Choice.DISSENT)

    verify_vote(vote, sign_vote(KEY, vote))
    for forged in (
        sign_vote(SigningKey(bytes(32)), vote),
        KEY.sign(Domain.CONTRIBUTION, vote.encoded),
        sign_vote(KEY, other),
        bytes(64),
    ):
        with pytest.raises(ForgedError):
            verify_vote(vote, forged)


@given(said=st.lists(votes, max_size=30), data=st.data())
def test_a_set_of_votes_has_one_state(said: list[Vote], data: st.DataObject) -> None:
    """In any order and with repetitions the same votes stand: the newest of each."""
    again = data.draw(st.permutations(said + said[: len(said) // 2]))
    newest: dict[tuple[bytes, bytes], Vote] = {}
    for vote in said:
        place = vote.author, vote.key
        newest[place] = min(
            newest.get(place, vote), vote, key=lambda each: (-each.sequence, each.id)
        )

    assert held(said) == held(again) == {vote.id for vote in newest.values()}


def test_an_author_holds_the_newest_votes() -> None:
    """Whoever drops old votes early or late, alone or joined, ends with the same."""
    said = [
        cast_vote(CIRCLE, author(0), number.to_bytes(32), number % 1500, Choice.AFFIRM)
        for number in range(HELD + 700)
    ]
    newest = sorted(said, key=lambda each: (-each.sequence, each.id))[:HELD]

    one, other = Votes(), Votes()
    for vote in said[:2300]:
        one.put(vote)
    for vote in reversed(said[400:]):
        other.put(vote)
    for vote in list(one):
        other.put(vote)

    expected = {vote.id for vote in newest}
    assert {vote.id for vote in other} == expected
    assert held(said) == held(said[::-1]) == expected


@given(said=st.lists(votes, max_size=30))
def test_changes_add_up(said: list[Vote]) -> None:
    """What enters and leaves with each vote is what is held in the end."""
    ballot = Votes()
    present: set[bytes] = set()
    for vote in said:
        change = ballot.put(vote)
        present -= {each.id for each in change.leaving}
        present |= {each.id for each in change.entering}
        assert present == {each.id for each in ballot}
    for who in range(3):
        present -= {each.id for each in ballot.forget(author(who)).leaving}
    assert (present, list(ballot)) == (set(), [])
    assert all(ballot.tally(node, {author(0)}) == Tally() for node in NODES)


def test_a_tally_counts_present_members_once() -> None:
    """Of each member the standing vote counts; of others and withdrawn ones none."""
    ballot = Votes()
    for who, sequence, choice in (
        (0, 1, Choice.AFFIRM),
        (0, 2, Choice.DISSENT),
        (0, 1, Choice.AFFIRM),
        (1, 5, Choice.AFFIRM),
        (2, 5, Choice.AFFIRM),
        (2, 6, Choice.WITHDRAW),
        (3, 9, Choice.AFFIRM),
    ):
        ballot.put(cast_vote(CIRCLE, author(who), NODES[0], sequence, choice))
    ballot.put(cast_vote(CIRCLE, author(0), NODES[1], 3, Choice.AFFIRM))
    members = {author(who) for who in range(3)}

    assert ballot.tally(NODES[0], members) == Tally(affirm=1, dissent=1)
    assert ballot.tally(NODES[0], members | {author(3)}) == Tally(2, 1)
    assert ballot.tally(NODES[3], members) == Tally()
    assert ballot.choice(author(0), NODES[0]) is Choice.DISSENT
    assert ballot.choice(author(2), NODES[3]) is Choice.WITHDRAW
    assert ballot.largest_sequence(author(0)) == 3
    assert ballot.largest_sequence(author("nobody")) == 0


def test_a_vote_comes_after_those_before_it() -> None:
    """The next sequence is the time, or one more than the last; then there is none."""
    assert [next_vote_sequence(0, 9), next_vote_sequence(9, 9)] == [9, 10]
    with pytest.raises(ConflictError):
        next_vote_sequence(MAX_SEQUENCE, 9)


def test_the_page_tells_the_limits() -> None:
    """The numbers and names on the page are those of the code."""
    flat = " ".join(PAGE.split())
    for told in (
        f"at most {MAX_VOTE_BYTES} bytes",
        f"the {HELD:,} of the largest sequence",
        f"`{Domain.VOTE.value.rstrip(bytes(1)).decode()}`",
        *(f"{choice.value} {choice.name.lower()}" for choice in Choice),
    ):
        assert told in flat, told
