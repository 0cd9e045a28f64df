"""Similarities and centres of vectors, in integers.

Specification: docs/protocol/consensus.md, section "Arithmetic". Rules of this file:

1. Every value is the integer of the specification. Where a float carries one, it is
   because the processor multiplies floats faster, and the comment tells why no digit is
   lost, in whatever order the sums are made.
2. `Rows` are int8, `Numbers` int64; a centre's length is about 2 ** 14.
"""

from math import isqrt
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from consensus.model_tag import DIMENSION

Rows: TypeAlias = npt.NDArray[np.int8]
Numbers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

ONE: Final = 10_000
"""The similarity of equals, in basis points."""
_CENTRE_BITS: Final = 28
"""Of the square of a centre's length."""


def squares(rows: Rows) -> Numbers:
    """Return the square of each row's length."""
    wide = rows.astype(np.float32)
    # A sum is at most 384 * 127 ** 2 < 2 ** 24: exact.
    total: Numbers = np.einsum("ij,ij->i", wide, wide).astype(np.int64)
    return total


def products(left: Rows, right: Rows) -> npt.NDArray[np.float32]:
    """Return the products of every left with every right row, exact integers."""
    # No partial sum of 384 products of up to 127 ** 2 reaches 2 ** 24: exact.
    found: npt.NDArray[np.float32] = (
        left.astype(np.float32) @ right.astype(np.float32).T
    )
    return found


def similarities(product: Numbers, left: Numbers, right: Numbers) -> Numbers:
    """Return similarities from products and squares of lengths, element by element."""
    # Squares multiply to less than 2 ** 46, so the root of a float is never so near a
    # whole number that it is rounded over it: this floor is the integer square root.
    root = np.sqrt((left * right).astype(np.float64)).astype(np.int64)
    found: Numbers = product * ONE // root
    return found


def surely_below(
    product: npt.NDArray[np.float32],
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
    least: int,
) -> npt.NDArray[np.bool_]:
    """Tell where a similarity is certain to be below `least`; lengths are given.

    Saves the exact division where it cannot matter. An error of 4 in a product covers
    all rounding: lengths multiply to less than 2 ** 23.
    """
    below: npt.NDArray[np.bool_] = product < left * (right * (least / ONE)) - 4
    return below


def units(rows: Rows, square: Numbers) -> Floats:
    """Return rows as whole numbers of length about 2 ** 14."""
    # |q| << 8 is below 2 ** 31 and the quotient of less than 2 ** 26 by less than
    # 2 ** 16 is at least 2 ** -16 away from the whole number that it does not reach.
    length = np.floor(np.sqrt((square << 8).astype(np.float64)))
    found: Floats = np.trunc(rows.astype(np.float64) * 2.0**18 / length[:, None])
    return found


def centre(total: Numbers) -> Numbers:
    """Return a sum of units with its length brought back to about 2 ** 14."""
    length = isqrt(squared(total))
    found: Numbers = np.sign(total) * ((np.abs(total) << 14) // length)
    return found


def encoded_centre(numbers: Numbers) -> bytes:
    """Return a centre as bytes: no number of it is beyond 2 ** 14."""
    return numbers.astype("<i2").tobytes()


def decoded_centres(content: bytes) -> Floats:
    """Return centres whose bytes stand one after the other, one to a row."""
    rows: Floats = np.frombuffer(content, "<i2").reshape(-1, DIMENSION).astype(float)
    return rows


def squared(values: Numbers) -> int:
    """Return the sum of the squares, however large."""
    numbers: list[int] = values.tolist()
    return sum(number * number for number in numbers)


def closeness(left: Floats, right: Floats) -> Floats:
    """Return similarities of every left with every right unit or centre."""
    # Products are below 2 ** 29 and ten thousand times that below 2 ** 53, and dividing
    # by a power of two only moves the point: exact.
    found: Floats = np.floor((left @ right.T) * float(ONE) / 2.0**_CENTRE_BITS)
    return found
