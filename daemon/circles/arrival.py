"""Whether a record that came in is taken: the checks, cheapest first.

Rules of this file:

1. Size, form, whether it is known, membership, signature: in this order, so that who
   sends rubbish costs little.
2. Only form, membership and signature decide what belongs to a circle's sets. That a
   record is known, replaced, or too much now says nothing against whoever sent it.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from consensus.contribution import (
    MAX_RECORD_BYTES,
    Contribution,
    decode_contribution,
    verify_contribution,
)
from consensus.errors import InvalidRecordError
from consensus.vote import MAX_VOTE_BYTES, Vote, decode_vote, verify_vote
from crdt.circle_card import Card, MAX_CARD_BYTES, decode_card
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_standing import Placed, Standing
from crdt.errors import ForgedError, MalformedError
from crdt.ids import AuthorKey, CircleId
from crdt.keys import SIGNATURE_BYTES

Value: TypeAlias = Card | Contribution | Vote


class Refusal(StrEnum):
    """Why something was not taken; the value is what it is counted by."""

    SIZE = "size"
    VERSION = "version"
    FORM = "form"
    ENCODING = "encoding"
    SEQUENCE = "sequence"
    UTF8 = "utf8"
    TEXT = "text"
    MODEL = "model"
    VECTOR = "vector"
    CIRCLE = "circle"
    """It belongs to another circle."""
    AUTHOR = "author"
    """Its author is no member, as far as is known here and now."""
    SIGNATURE = "signature"
    STATEMENT = "statement"
    """The roster does not accept it, or has no room for it."""
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    BEYOND_BOUND = "beyond_bound"
    QUARANTINED = "quarantined"
    RATE = "rate"
    """There are too many of its author just now."""
