"""The kinds of records that members of a circle write, read in one way.

Specification: docs/protocol/circle-items.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from consensus.contribution import (
    MAX_RECORD_BYTES,
    Contribution,
    decode_contribution,
    verify_contribution,
)
from consensus.vote import HELD, MAX_VOTE_BYTES, Vote, decode_vote, verify_vote
from crdt.circle_card import (
    MAX_CARD_BYTES,
    MAX_CARD_DEVICES,
    Card,
    decode_card,
    verify_card,
)
from crdt.circle_items import ItemKind, ItemName
from crdt.circle_standing import Placed
from crdt.ids import AuthorKey
from crdt.keys import SIGNATURE_BYTES

Value: TypeAlias = Card | Contribution | Vote

RECORDS_OF_AN_AUTHOR: Final = 2_000
"""Contributions and retractions: four times what takes part."""


@dataclass(frozen=True, slots=True)
class Written:
    """A record that decodes."""

    circle: bytes
    placed: Placed
    value: Value
    verify: Callable[[], None]
    """Raises `ForgedError` unless it is signed as it has to be."""


@dataclass(frozen=True, slots=True)
class Form:
    """How records of one kind are read, and how many are kept."""

    most_bytes: int
    """Larger than any of these with its signatures."""
    of_an_author: int
    refill_ms: int
    """After so long an author may bring one more than can stand."""
    read: Callable[[bytes], Written]
    """Raises `MalformedError`."""


def _read_contribution(content: bytes) -> Written:
    record, signature = _split(content)
    contribution = decode_contribution(record)
    return Written(
        contribution.circle,
        Placed(
            AuthorKey(contribution.author),
            contribution.reference,
            contribution.sequence,
            ItemName(contribution.epoch, contribution.id),
        ),
        contribution,
        lambda: verify_contribution(contribution, signature),
    )


def _read_vote(content: bytes) -> Written:
    record, signature = _split(content)
    vote = decode_vote(record)
    return Written(
        vote.circle,
        Placed(AuthorKey(vote.author), vote.key, vote.sequence, ItemName(0, vote.id)),
        vote,
        lambda: verify_vote(vote, signature),
    )


def _read_card(content: bytes) -> Written:
    card = decode_card(content)
    placed = Placed(card.author, card.device, card.sequence, card.item.name)
    return Written(card.circle, placed, card, lambda: verify_card(card))


def _split(content: bytes) -> tuple[bytes, bytes]:
    return content[:-SIGNATURE_BYTES], content[-SIGNATURE_BYTES:]


FORMS: Final[Mapping[ItemKind, Form]] = {
    ItemKind.CARD: Form(MAX_CARD_BYTES, MAX_CARD_DEVICES, 10_000, _read_card),
    ItemKind.CONTRIBUTION: Form(
        MAX_RECORD_BYTES + SIGNATURE_BYTES,
        RECORDS_OF_AN_AUTHOR,
        2_000,
        _read_contribution,
    ),
    ItemKind.VOTE: Form(MAX_VOTE_BYTES + SIGNATURE_BYTES, HELD, 2_000, _read_vote),
}
