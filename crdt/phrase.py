"""The 24 words of a person, to and from 32 bytes (BIP 39, English list).

Specification: docs/protocol/keys.md. Rule: no error text repeats a word, for even a
mistyped word tells most of a right one.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from mnemonic import Mnemonic

from crdt.errors import InvalidError

ENTROPY_BYTES: Final = 32
WORD_COUNT: Final = 24


def word_list() -> Sequence[str]:
    """Return the 2048 words, in order; four letters tell any of them."""
    return _english().wordlist


def new_phrase(entropy: bytes) -> str:
    """Return the 24 words that stand for 32 bytes of fresh randomness."""
    if len(entropy) != ENTROPY_BYTES:
        msg = f"a phrase takes {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}"
        raise ValueError(msg)
    return _english().to_mnemonic(entropy)


def parse_phrase(text: str) -> bytes:
    """Return the 32 bytes behind a phrase as a person typed it.

    Case and white space do not matter. Raises `InvalidError` that names the first
    unknown word by its place, or says that the words do not belong together.
    """
    words = Mnemonic.normalize_string(text).lower().split()
    if len(words) != WORD_COUNT:
        detail = f"has {len(words)} words, a phrase has {WORD_COUNT}"
        raise InvalidError("phrase", detail)
    known = set(_english().wordlist)
    for place, word in enumerate(words, start=1):
        if word not in known:
            detail = f"word {place} is not in the word list; look for a slip of the pen"
            raise InvalidError("phrase", detail)
    try:
        return bytes(_english().to_entropy(words))
    except ValueError:
        detail = "these words do not belong together; one is wrong or out of place"
        raise InvalidError("phrase", detail) from None


@lru_cache(maxsize=1)
def _english() -> Mnemonic:
    return Mnemonic("english")
