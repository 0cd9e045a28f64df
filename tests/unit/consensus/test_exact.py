"""Arithmetic on arrays is that of Python's integers."""

from math import isqrt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consensus.exact import (
    Rows,
    centre,
    closeness,
    products,
    similarities,
    squares,
    surely_below,
    units,
)
from tests.support.slow_consensus import csim, dot, renorm, unit

rows = arrays.arrays(
    np.int8, (2, 384), elements=st.integers(-127, 127), fill=st.integers(-127, 127)
).filter(lambda both: bool((np.abs(both).max(axis=1) == 127).all()))


@given(rows)
def test_similarities_are_exact(both: Rows) -> None:
    """Products, lengths and their quotient are those of unbounded integers."""
    left, right = (row.tolist() for row in both)
    square = squares(both)
    product = products(both, both).astype(np.int64)

    found = similarities(product, square[:, None], square[None])

    expected = dot(left, right) * 10000 // isqrt(dot(left, left) * dot(right, right))
    assert found[0, 1] == found[1, 0] == expected
    assert found[0, 0] == 10000


@given(rows)
def test_units_are_exact(both: Rows) -> None:
    """Units, centres and their closeness are those of unbounded integers."""
    slow = [unit(row.tolist()) for row in both]
    fast = units(both, squares(both))

    assert fast.astype(int).tolist() == slow
    assert closeness(fast, fast)[0, 1] == csim(*slow)
    total = fast.sum(axis=0).astype(np.int64)
    if total.any():
        assert centre(total).tolist() == renorm(total.tolist())


@given(st.integers(1, 2**46 - 1))
def test_a_root_is_never_rounded_up(number: int) -> None:
    """The floor of the float's root is the integer root, next to squares too."""
    for each in (number, isqrt(number) ** 2 - 1 or 1, isqrt(number) ** 2):
        found = similarities(np.array([0]), np.array([each]), np.array([1]))
        assert found[0] == 0
        assert int(np.sqrt(np.float64(each))) == isqrt(each)


@given(rows, st.integers(1, 10_000))
def test_what_is_surely_below_is_below(
    both: Rows,
    least: int,
) -> None:
    """The short cut never leaves out what reaches the threshold."""
    square = squares(both)
    lengths = np.sqrt(square).astype(np.float32)
    product = products(both, both)
    exact = similarities(product.astype(np.int64), square[:, None], square[None])

    below = surely_below(product, lengths[:, None], lengths, least)

    assert not (below & (exact >= least)).any()
    assert not below[exact >= exact.max()].any() or least > exact.max()
