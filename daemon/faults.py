"""What went wrong: the field at fault for a client, the place in the code for a log."""

import re
import traceback
from typing import Final

import msgspec

from crdt.errors import InvalidError, RefusedError

_PLACE: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_NAMED: Final = re.compile(r"field `([^`]+)`")


class NotJsonError(RefusedError):
    """The bytes are not JSON in UTF-8; nothing was changed."""


def decoding_fault(error: Exception) -> RefusedError:
    """Return the error to answer for one that msgspec raised while decoding."""
    if not isinstance(error, msgspec.ValidationError):
        message = "It is not JSON in UTF-8, or nested too deeply."
        return NotJsonError(message)
    text = str(error)
    place = _PLACE.search(text)
    named = _NAMED.search(text)
    field = place.group(1) if place else ""
    if not field and named:
        field = named.group(1)
    return InvalidError(field or "document", text[: place.start()] if place else text)


def places(error: BaseException) -> str:
    """Return the kind of an error and where it was raised, to be logged.

    Its text is left out, for it may quote what a person wrote.
    """
    trace = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}:\n{trace}"
