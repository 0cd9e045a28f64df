"""Which vectors may be near, by their signs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.closeness import DIMENSION, from_bytes, quantise, resonances
from crdt.sign_index import SignIndex


def made_up(count: int, seed: int, spread: float = 0.05) -> bytes:
    """Return vectors in groups of about ten that are near each other."""
    dice = np.random.default_rng(seed)
    middles = dice.standard_normal((count // 10 + 1, DIMENSION)).astype(np.float32)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    chosen = middles[dice.integers(0, len(middles), count)]
    noise = dice.standard_normal((count, DIMENSION)).astype(np.float32)
    return quantise(chosen + spread * noise).tobytes()


def row(vectors: bytes, number: int) -> bytes:
    return vectors[number * DIMENSION : (number + 1) * DIMENSION]


@given(st.integers(1, 3000), st.integers(1, 50), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_candidates_are_those_with_fewest_other_signs(
    size: int, count: int, seed: int
) -> None:
    """No node that is left out differs in fewer signs than one that is found."""
    vectors = made_up(size, seed)
    signs = SignIndex()
    signs.put(range(1, size + 1), vectors)
    asked = row(vectors, seed % size)

    found = signs.candidates(asked, b"\x00" + b"\x01" * size, count)

    differing = ((from_bytes(vectors) > 0) != (np.frombuffer(asked, np.int8) > 0)).sum(
        axis=1
    )
    assert len(found) == min(count, size)
    assert sorted(differing[n - 1] for n in found) == sorted(differing)[: len(found)]


def test_hidden_and_removed_nodes_are_not_found() -> None:
    """Only nodes that show and have a vector are candidates."""
    vectors = made_up(5, 1)
    signs = SignIndex()
    signs.put([1, 2, 3, 4, 2000], vectors)
    states = bytearray(b"\x00" + b"\x01" * 2000)
    states[2] = 2
    signs.remove([3, 100_000])

    assert signs.candidates(row(vectors, 0), bytes(states), 50) == [1, 4, 2000]
    assert signs.candidates(row(vectors, 0), b"\x00\x01", 50) == [1]
    assert signs.count == 4


def test_a_vector_takes_the_place_of_the_older_one() -> None:
    """Of each node the newest vector counts."""
    vectors = made_up(2, 1)
    signs = SignIndex()
    signs.put([1, 2], vectors)
    signs.put([1], row(vectors, 1))

    assert signs.count == 2
    assert signs.candidates(row(vectors, 1), b"\x00\x01\x01", 1) in ([1], [2])


def test_an_empty_index_finds_nothing() -> None:
    """Without vectors there are no candidates."""
    signs = SignIndex()
    signs.put([], b"")

    assert signs.candidates(made_up(1, 1), b"\x00\x01\x01", 10) == []


def test_quantised_vectors_keep_their_cosine() -> None:
    """Small integers lose less than half a hundredth of a cosine."""
    dice = np.random.default_rng(7)
    floats = dice.standard_normal((200, DIMENSION)).astype(np.float32)
    floats[100:] = floats[:100] + 0.5 * floats[100:]
    floats /= np.linalg.norm(floats, axis=1, keepdims=True)
    quantised = quantise(floats)

    near = resonances(quantised, quantised[0].tobytes())

    assert np.abs(quantised).max(axis=1).tolist() == [127] * 200
    assert np.allclose(near, np.clip(floats @ floats[0], 0, 1), atol=0.005)


def test_a_vector_of_zeros_is_near_nothing() -> None:
    """Nothing is divided by nothing."""
    zeros = quantise(np.zeros((2, DIMENSION), np.float32))

    assert resonances(zeros, zeros[0].tobytes()).tolist() == [0.0, 0.0]
