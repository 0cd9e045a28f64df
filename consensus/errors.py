"""What keeps texts from being embedded, and records from being taken.

EmbeddingError
├── NoModelError           no vectors for now: libraries or model are missing or broken
└── WorkerLostError        the process ended while it worked on these texts
InvalidRecordError         a contribution or vote breaks a rule; it says which

Rule: no text that was to be embedded or published stands in an error.
"""

from enum import StrEnum

from crdt.errors import FractalityError, MalformedError


class EmbeddingError(FractalityError):
    """These texts have no vectors."""


class NoModelError(EmbeddingError):
    """There is no model to embed with now; the text says why and what to do."""


class WorkerLostError(EmbeddingError):
    """The process that embeds ended, or broke the rules, with these texts in hand."""


class Fault(StrEnum):
    """The rule that a record breaks, for everybody who knows the same members."""

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
    AUTHOR = "author"
    SIGNATURE = "signature"


class InvalidRecordError(MalformedError):
    """A record is none, for everybody and for ever: drop it, count it by its fault."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{detail}; it was dropped.")
        self.fault = fault
        self.detail = detail
