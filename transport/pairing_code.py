"""The code that two people read to each other: `7-orbit-ladder`.

Specification: docs/protocol/pairing.md. Rules of this file:

1. The number only finds the inviter; the two words alone are the secret.
2. No error text repeats what was typed, for that is most of a right code.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from crdt.errors import InvalidError
from crdt.phrase import word_list

MAX_NAMEPLATE: Final = 99
MAX_TYPED_CHARACTERS: Final = 2048
"""A link with all addresses of a device is the longest that is pasted."""
CODE_RANDOMNESS_BYTES: Final = 6
_WORD_BITS: Final = 11
_LEAST_PREFIX: Final = 4
_SCHEME: Final = "fractality"
_PURPOSE: Final = "pair"
_HOW_IT_LOOKS: Final = "is a number and two words, such as 7-orbit-ladder"


@dataclass(frozen=True, slots=True)
class PairingCode:
    """What makes one invitation different from all others."""

    nameplate: int
    """1 to 99; announced on the local network while the invitation is open."""
    words: tuple[str, str] = field(repr=False)

    def __str__(self) -> str:
        return "-".join((str(self.nameplate), *self.words))

    @property
    def password(self) -> bytes:
        """What both devices put into the key agreement."""
        return f"fractality/1 pairing code\0{self}".encode()


@dataclass(frozen=True, slots=True)
class PairingLink:
    """What a QR code carries: the code, and where the inviter can be reached."""

    code: PairingCode
    addresses: Sequence[str] = ()


def new_code(randomness: bytes) -> PairingCode:
    """Return the code that six fresh random bytes stand for."""
    if len(randomness) != CODE_RANDOMNESS_BYTES:
        msg = f"a code takes {CODE_RANDOMNESS_BYTES} random bytes"
        raise ValueError(msg)
    number, chosen = int.from_bytes(randomness[:3]), int.from_bytes(randomness[3:])
    words = word_list()
    mask = len(words) - 1
    return PairingCode(
        1 + number % MAX_NAMEPLATE,
        (words[chosen & mask], words[chosen >> _WORD_BITS & mask]),
    )


def parse_code(text: str) -> PairingCode:
    """Return the code that a person typed.

    Case, blanks and missing hyphens do not matter, and four letters stand for a word.
    Raises `InvalidError` that says which part is not understood.
    """
    if len(text) > MAX_TYPED_CHARACTERS:
        raise InvalidError("code", _HOW_IT_LOOKS)
    plain = unicodedata.normalize("NFKC", text).lower()
    number, *words = re.findall("[0-9]+|[a-z]+", plain) or [""]
    if not number.isdecimal() or len(words) not in {1, 2}:
        raise InvalidError("code", _HOW_IT_LOOKS)
    if len(number) > 2 or not 1 <= int(number) <= MAX_NAMEPLATE:
        raise InvalidError("code", f"begins with a number from 1 to {MAX_NAMEPLATE}")
    first, second = words if len(words) == 2 else _apart(words[0])
    return PairingCode(int(number), (_completed(first, 1), _completed(second, 2)))


def format_link(link: PairingLink) -> str:
    """Return the text of a QR code."""
    places = "".join(f"&at={quote(each, safe=':[]')}" for each in link.addresses)
    return f"{_SCHEME}:{_PURPOSE}?code={link.code}{places}"


def parse_link(text: str) -> PairingLink:
    """Return what a person typed as a code, or pasted as a link.

    Raises `InvalidError`. Addresses come as they stand there: not yet checked.
    """
    if not text.strip().lower().startswith(f"{_SCHEME}:"):
        return PairingLink(parse_code(text))
    if len(text) > MAX_TYPED_CHARACTERS:
        raise InvalidError("code", _HOW_IT_LOOKS)
    try:
        parts = urlsplit(text.strip())
        fields = parse_qs(parts.query, max_num_fields=64)
    except ValueError:
        raise InvalidError("code", "is a link that cannot be read") from None
    codes = fields.get("code", [])
    if parts.path != _PURPOSE or len(codes) != 1:
        raise InvalidError("code", "is a link, but not one that pairs devices")
    return PairingLink(parse_code(codes[0]), tuple(fields.get("at", [])))


def _completed(typed: str, place: int) -> str:
    """Return the word of the list that `typed` is, or is the only beginning of."""
    if typed in word_list():
        return typed
    found = [word for word in word_list() if word.startswith(typed)]
    if len(typed) < _LEAST_PREFIX or len(found) != 1:
        detail = f"word {place} is not in the word list; look for a slip of the pen"
        raise InvalidError("code", detail)
    return found[0]


def _apart(joined: str) -> tuple[str, str]:
    """Return the two words that were typed as one."""
    known = set(word_list())
    cuts = [
        (joined[:place], joined[place:])
        for place in range(1, len(joined))
        if joined[:place] in known and joined[place:] in known
    ]
    if len(cuts) != 1:
        raise InvalidError("code", f"{_HOW_IT_LOOKS}; put a blank between the words")
    return cuts[0]
