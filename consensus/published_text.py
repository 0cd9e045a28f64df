"""What a text must be to be published: the same answer on every device, for ever.

Specification: docs/protocol/consensus.md.

Rule: whether a text is in Unicode NFC depends on the Unicode version only by characters
that are younger than it, so those younger than Unicode 14 are refused: no two devices
may judge a record differently. No older version of Python has to judge a text here.
"""

import unicodedata
from bisect import bisect_right
from typing import Final

from consensus.errors import Fault, InvalidRecordError
from consensus.unicode_14 import UNASSIGNED

MAX_TEXT_BYTES: Final = 280
_FIRST_UNKNOWN: Final = 0x378
"""Below it every character was assigned long ago."""


def check_text(text: str) -> None:
    """Raise `InvalidRecordError` unless `text` may be published as it is."""
    if not 1 <= len(text.encode()) <= MAX_TEXT_BYTES:
        detail = f"A record's text has not 1 to {MAX_TEXT_BYTES} bytes"
        raise InvalidRecordError(Fault.TEXT, detail)
    if any(_is_control(character) for character in text):
        detail = "A record's text has control characters"
        raise InvalidRecordError(Fault.TEXT, detail)
    if not all(is_known(character) for character in text):
        detail = "A record's text has characters that Unicode 14 does not know"
        raise InvalidRecordError(Fault.TEXT, detail)
    if not unicodedata.is_normalized("NFC", text):
        detail = "A record's text is not in Unicode NFC"
        raise InvalidRecordError(Fault.TEXT, detail)


def is_known(character: str) -> bool:
    """Whether Unicode 14 assigns a character."""
    code = ord(character)
    # The bounds are the first unassigned code, the next assigned one, and so on.
    return code < _FIRST_UNKNOWN or bisect_right(UNASSIGNED, code) % 2 == 0


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"
