"""A vote: what one member says of one consensus node. Only this is agreement.

Specification: docs/protocol/vote.md. Rules of this file:

1. As of contributions: one content has one encoding, the hash of the bytes names the
   record, and whether it is valid is the same on every device.
2. Of one author and node the vote of the larger sequence stands, of equal ones the one
   of the smaller id; of an author's standing votes the 2,000 newest are held. Whatever
   does not stand or is not held never will be, so devices that drop it stay equal.
3. Only who is a member now is counted.
"""

import hashlib
from bisect import insort
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from consensus.contribution import (
    AUTHOR_BYTES,
    CIRCLE_BYTES,
    Author,
    next_sequence,
)
from consensus.errors import Fault, InvalidRecordError
from crdt.keys import Domain, SigningKey, verify_signature

VERSION: Final = 1
KEY_BYTES: Final = 32
MAX_VOTE_BYTES: Final = 128
"""More than any vote has; what is longer is not even looked at."""
HELD: Final = 2_000
"""How many nodes an author can have a vote on; older votes are dropped."""

NodeKey: TypeAlias = bytes
"""The key of a consensus node (32 bytes)."""


class Choice(IntEnum):
    """What a member says."""

    WITHDRAW = 0
    AFFIRM = 1
    DISSENT = 2


@dataclass(frozen=True, slots=True)
class Vote:
    """A valid record; signed or not is told elsewhere."""

    circle: bytes
    author: Author
    key: NodeKey
    sequence: int
    choice: Choice
    encoded: bytes
    id: bytes
    """SHA-256 of `encoded`."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many members affirm a node, and how many dissent."""

    affirm: int = 0
    dissent: int = 0


@dataclass(frozen=True, slots=True)
class VoteChange:
    """What is held from now on, and what is no longer."""

    entering: tuple[Vote, ...] = ()
    leaving: tuple[Vote, ...] = ()


class _Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    circle: Annotated[
        bytes, msgspec.Meta(min_length=CIRCLE_BYTES, max_length=CIRCLE_BYTES)
    ]
    author: Annotated[
        bytes, msgspec.Meta(min_length=AUTHOR_BYTES, max_length=AUTHOR_BYTES)
    ]
    key: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    sequence: int
    choice: Choice


def cast_vote(
    circle: bytes, author: Author, key: NodeKey, sequence: int, choice: Choice
) -> Vote:
    """Return the record by which `author` says what they think of a consensus node."""
    wire = _Wire(VERSION, circle, author, key, sequence, choice)
    return decode_vote(msgspec.msgpack.encode(wire))


def next_vote_sequence(largest: int, now_ms: int) -> int:
    """Return the sequence of an author's next vote, after the largest that is known.

    Raises `ConflictError` when there is none left.
    """
    return max(now_ms, next_sequence(largest))


def decode_vote(encoded: bytes) -> Vote:
    """Return the vote that `encoded` is the only valid encoding of.

    Raises `InvalidRecordError`.
    """
    if len(encoded) > MAX_VOTE_BYTES:
        raise InvalidRecordError(Fault.SIZE, "A vote is larger than any can be")
    try:
        wire = _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _form_error(encoded) from None
    if wire.sequence < 0:
        detail = "A vote's sequence is below 0"
        raise InvalidRecordError(Fault.SEQUENCE, detail)
    if msgspec.msgpack.encode(wire) != encoded:
        detail = "A vote is not in its only valid encoding"
        raise InvalidRecordError(Fault.ENCODING, detail)
    return Vote(
        circle=wire.circle,
        author=wire.author,
        key=wire.key,
        sequence=wire.sequence,
        choice=wire.choice,
        encoded=encoded,
        id=hashlib.sha256(encoded).digest(),
    )


def sign_vote(author: SigningKey, vote: Vote) -> bytes:
    """Return the author's signature (64 bytes) of a vote."""
    return author.sign(Domain.VOTE, vote.encoded)


def verify_vote(vote: Vote, signature: bytes) -> None:
    """Raise `ForgedError` unless the author signed the vote."""
    verify_signature(Domain.VOTE, vote.author, signature, vote.encoded)


class Votes:
    """The votes of one circle: a map that merges, of bounded size."""

    def __init__(self) -> None:
        self._by_key: defaultdict[NodeKey, dict[Author, Vote]] = defaultdict(dict)
        self._by_author: dict[Author, list[tuple[int, bytes, Vote]]] = {}
        """An author's votes, the newest first. No two have one id, so that votes
        themselves are never compared."""

    def __iter__(self) -> Iterator[Vote]:
        """Yield every vote that is held, withdrawals too."""
        for votes in self._by_author.values():
            yield from (vote for _, _, vote in votes)

    def largest_sequence(self, author: Author) -> int:
        """Return the largest sequence of an author, 0 if there is none."""
        votes = self._by_author.get(author)
        return votes[0][2].sequence if votes else 0

    def put(self, vote: Vote) -> VoteChange:
        """Hold a vote if it is to be held; return what that changes."""
        former = self._by_key.get(vote.key, {}).get(vote.author)
        if former is not None and _place(former) <= _place(vote):
            return VoteChange()
        votes = self._by_author.setdefault(vote.author, [])
        if former is not None:
            votes.remove(_place(former))
        insort(votes, _place(vote))
        self._by_key[vote.key][vote.author] = vote
        leaving = [] if former is None else [former]
        if len(votes) > HELD:
            oldest = votes.pop()[2]
            self._drop(oldest)
            if oldest is vote:
                return VoteChange()
            leaving.append(oldest)
        return VoteChange((vote,), tuple(leaving))

    def forget(self, author: Author) -> VoteChange:
        """Let go of all votes of an author."""
        leaving = tuple(vote for _, _, vote in self._by_author.pop(author, []))
        for vote in leaving:
            self._drop(vote)
        return VoteChange(leaving=leaving)

    def choice(self, author: Author, key: NodeKey) -> Choice:
        """Return what an author says of a node; who never said anything withdrew."""
        vote = self._by_key.get(key, {}).get(author)
        return Choice.WITHDRAW if vote is None else vote.choice

    def tally(self, key: NodeKey, members: Container[Author]) -> Tally:
        """Return how many of the present `members` affirm a node and dissent."""
        choices = [
            vote.choice
            for author, vote in self._by_key.get(key, {}).items()
            if author in members
        ]
        return Tally(choices.count(Choice.AFFIRM), choices.count(Choice.DISSENT))

    def _drop(self, vote: Vote) -> None:
        votes = self._by_key[vote.key]
        del votes[vote.author]
        if not votes:
            del self._by_key[vote.key]


def _place(vote: Vote) -> tuple[int, bytes, Vote]:
    return -vote.sequence, vote.id, vote


def _form_error(encoded: bytes) -> InvalidRecordError:
    is_array = b"\x90" <= encoded[:1] <= b"\x9f"
    if is_array and VERSION < int.from_bytes(encoded[1:2]) < 0x80:
        detail = "A vote is of a later version: update this program to read it"
        return InvalidRecordError(Fault.VERSION, detail)
    return InvalidRecordError(Fault.FORM, "A vote does not follow its format")


_DECODER: Final = msgspec.msgpack.Decoder(_Wire)
