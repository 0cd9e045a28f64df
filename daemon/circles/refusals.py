"""Why something that came in to a circle was not taken."""

from enum import StrEnum


class Refusal(StrEnum):
    """A reason; the value is what it is counted by."""

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
    """Its author has as many newer ones as are kept."""
    QUARANTINED = "quarantined"
    """Its vector was found not to fit its text."""
    RATE = "rate"
    """There are too many of its author just now; later there is room again."""
