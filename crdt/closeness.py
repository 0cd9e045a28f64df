"""How close two meanings are: vectors of 384 small integers and their cosine.

Rule: a vector is its int8 bytes, made once where the text was embedded; everything
here follows from these bytes, exactly (products and sums stay below 2 ** 24).
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

DIMENSION: Final = 384
Vectors: TypeAlias = npt.NDArray[np.int8]
"""One vector to a row."""


def quantise(embeddings: npt.NDArray[np.float32]) -> Vectors:
    """Return embeddings, one to a row, as small integers; the largest becomes 127."""
    largest = np.abs(embeddings).max(axis=1, keepdims=True)
    scale = np.divide(127.0, largest, out=np.zeros_like(largest), where=largest > 0)
    vectors: Vectors = np.rint(embeddings * scale).astype(np.int8)
    return vectors


def from_bytes(content: bytes) -> Vectors:
    """Return vectors whose bytes stand one after the other."""
    return np.frombuffer(content, np.int8).reshape(-1, DIMENSION)


def resonances(vectors: Vectors, asked: bytes) -> npt.NDArray[np.float64]:
    """Return the cosine of each vector with `asked`, 0 where it is negative."""
    left = vectors.astype(np.float32)
    right = np.frombuffer(asked, np.int8).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", left, left, dtype=np.float64))
    length = float(np.sqrt(right.astype(np.float64) @ right))
    products = (left @ right).astype(np.float64)
    scale = lengths * length
    cosines = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    clipped: npt.NDArray[np.float64] = np.clip(cosines, 0.0, 1.0)
    return clipped
