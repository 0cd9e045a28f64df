"""Whether a vector is that of its text: what may be shown and handed on.

Specification: docs/protocol/consensus.md, section "A vector and its text".

Rule: this is each device's own answer. It decides what the device holds, never how the
rule treats what is held, and a device without the model has no answer.
"""

from math import isqrt
from typing import Final

from consensus.model_tag import DIMENSION
from crdt.errors import InvalidError

LEAST: Final = 9_900
"""Basis points; of honest vectors from other machines none was measured below 9,999."""
_ONE: Final = 10_000


def is_of_text(vector: bytes, embedded: bytes) -> bool:
    """Whether a record's vector is near enough to what its text embeds to here.

    Both have to be by the same model.
    """
    return similarity(vector, embedded) >= LEAST


def similarity(left: bytes, right: bytes) -> int:
    """Return the similarity of two vectors in basis points, 0 if one is all zeros.

    Raises `InvalidError` for what is no vector.
    """
    if len(left) != DIMENSION or len(right) != DIMENSION:
        raise InvalidError("vector", f"has {DIMENSION} numbers")
    one, other = memoryview(left).cast("b"), memoryview(right).cast("b")
    product = sum(a * b for a, b in zip(one, other, strict=True))
    length = isqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return product * _ONE // length if length else 0
