"""What publishing would send, shown before anything leaves.

Rules of this file:

1. What is shown is what is sent, byte for byte: a preview is the record itself.
2. A text is normalised, never shortened or changed: what does not fit is refused, and
   the person decides what to say instead.
3. Resonance with a circle is resonance with what others said: nobody resonates with
   themselves.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from consensus.contribution import (
    SECONDS_OF_AN_EPOCH,
    Author,
    Contribution,
    Reference,
    contribute,
)
from consensus.errors import InvalidRecordError
from consensus.published_text import MAX_TEXT_BYTES, check_text
from consensus.rule import Preset
from crdt.errors import InvalidError
from crdt.ids import CircleId

CONSENT: Final = (
    "Every member of the circle can read this text and keep it, also members who come"
    " later. The vector that goes with it gives the text away as well: whoever has it"
    " can find out what was said. It goes out under your pseudonym in this circle, with"
    " the week in which it was published, and encrypted to the circle."
)
"""What a person is told before a thought leaves."""
WITHDRAWN: Final = (
    "It is withdrawn: it takes part in nothing any more, and devices of the circle let"
    " go of its text as they hear of it. Copies already read stay read."
)
NOT_PUBLISHED: Final = "Nothing of this node was published to the circle."
_NO_MEANING: Final = (
    "has no meaning that the model could tell, so nothing could resonate with it"
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text as a vector, and the tag of the model that made it."""

    vector: bytes
    model: bytes


@dataclass(frozen=True, slots=True)
class Pen:
    """In whose name, for which circle and as which node something is written."""

    circle: CircleId
    author: Author
    reference: Reference
    sequence: int


def publishable(label: str) -> str:
    """Return a label as the text that would be published, in Unicode NFC.

    Raises `InvalidError` naming `label` if a circle cannot take it.
    """
    text = unicodedata.normalize("NFC", label)
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        detail = (
            f"has {size} bytes of UTF-8, and a circle takes at most {MAX_TEXT_BYTES}:"
            " say it in a shorter node and publish that one"
        )
        raise InvalidError("label", detail)
    try:
        check_text(text)
    except InvalidRecordError:
        detail = (
            "must be one line without control characters, of characters that all"
            " devices know (Unicode 14), to be published"
        )
        raise InvalidError("label", detail) from None
    return text


def epoch_at(now_ms: int) -> int:
    """Return the week that a moment is in, as records have it."""
    return now_ms // (SECONDS_OF_AN_EPOCH * 1000)


def epoch_start_ms(epoch: int) -> int:
    """Return the first moment of a week."""
    return epoch * SECONDS_OF_AN_EPOCH * 1000


def record_of(pen: Pen, text: str, embedded: Embedded, now_ms: int) -> Contribution:
    """Return the record that would publish a text now.

    Raises `InvalidError` naming `label` if its vector says nothing.
    """
    if not any(embedded.vector):
        raise InvalidError("label", _NO_MEANING)
    return contribute(
        pen.circle,
        pen.author,
        pen.reference,
        pen.sequence,
        text=text,
        model=embedded.model,
        vector=embedded.vector,
        epoch=epoch_at(now_ms),
    )


def reaches(resonance_bp: int, preset: Preset) -> bool:
    """Whether a resonance with others is enough to publish a thought by itself.

    It is what a group of that circle asks of whoever joins it.
    """
    return resonance_bp >= preset.value.join
