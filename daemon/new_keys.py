"""Keys for nodes whose person gave them none: readable, with a random end."""

import re
import unicodedata
from typing import Final

_WORDS: Final = 5
_LENGTH: Final = 40
_END_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
END_BYTES: Final = 5
"""Random bytes that the end of a key takes."""


def key_stem(text: str) -> str:
    """Return the readable part of a key: the first words of `text`, joined by -."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())
    return "-".join(words[:_WORDS])[:_LENGTH].rstrip("-") or "thought"


def new_key(text: str, randomness: bytes) -> str:
    """Return a key made from a text and `END_BYTES` random bytes."""
    end = "".join(_END_ALPHABET[byte % len(_END_ALPHABET)] for byte in randomness)
    return f"{key_stem(text)}-{end}"
