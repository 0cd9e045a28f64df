"""Whether a vector is that of its text: exact, and strict."""

from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.admission import LEAST, is_of_text, similarity
from consensus.model_tag import DIMENSION
from crdt.errors import InvalidError
from tests.support.contributions import between, vector

vectors = st.binary(min_size=DIMENSION, max_size=DIMENSION)


@given(vectors, vectors)
def test_similarity_is_the_rules(left: bytes, right: bytes) -> None:
    """It is the integer that the rule's own formula gives."""
    one = [each - 256 * (each > 127) for each in left]
    other = [each - 256 * (each > 127) for each in right]
    length = isqrt(sum(a * a for a in one) * sum(b * b for b in other))
    product = sum(a * b for a, b in zip(one, other, strict=True))

    assert similarity(left, right) == (product * 10_000 // length if length else 0)


def test_only_a_vector_of_the_text_is_admitted() -> None:
    """What differs by a rounding is; another direction, however near, is not."""
    honest = vector(0)
    rounded = bytes([126]) + honest[1:]
    near = between(0, 1, 30)

    assert is_of_text(honest, rounded)
    assert 9_000 < similarity(honest, near) < LEAST
    assert not is_of_text(honest, near)
    assert not is_of_text(honest, vector(1))
    assert not is_of_text(honest, bytes(DIMENSION))


def test_what_is_no_vector_is_no_question() -> None:
    """A vector has its length."""
    with pytest.raises(InvalidError):
        similarity(vector(0), b"")
