"""Comparing two sets finds exactly what they do not share, with little said."""

import time
from random import Random
from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crdt.errors import MalformedError
from tests.support.reconciling import keys, reconcile
from transport.circle_frames import (
    ID_BYTES,
    MAX_FRAME_BYTES,
    Listed,
    Range,
    Split,
    Wanted,
)
from transport.reconciliation import (
    MAX_LISTED,
    MAX_STEP_BYTES,
    SHORT_ID_BYTES,
    answer,
    opening,
)
from transport.sorted_names import EMPTY_FINGERPRINT, SortedNames

MANY: Final = 100_000
CROWDED: Final = st.builds(
    lambda epoch, start, end: epoch.to_bytes(4) + bytes([start]) * 28 + end,
    st.integers(0, 2) | st.just(2**32 - 1),
    st.sampled_from([0, 1, 255]),
    st.binary(min_size=4, max_size=4),
)
"""Keys that share much, as nobody's hashes do."""
SETS: Final = st.sets(CROWDED, max_size=200)


def check(one: set[bytes], other: set[bytes], id_bytes: int = ID_BYTES) -> None:
    """Each gives exactly what the other lacks, and each of it once."""
    outcome = reconcile(one, other, id_bytes=id_bytes)

    assert sorted(outcome.gifts[0]) == sorted(one - other)
    assert sorted(outcome.gifts[1]) == sorted(other - one)
    assert max(map(len, outcome.frames)) <= MAX_FRAME_BYTES


@given(SETS, SETS, SETS)
def test_whatever_differs_is_found(
    shared: set[bytes], one: set[bytes], other: set[bytes]
) -> None:
    """Of any two sets each side finds what the other lacks."""
    every = shared | one | other
    # An epoch is part of what an id is the hash of.
    assume(len({key[4:] for key in every}) == len(every))

    check(shared | one, shared | other)


@settings(max_examples=30)
@given(
    st.integers(0, 3000),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 200),
    st.integers(0, 2**32).map(Random),
)
def test_whatever_differs_among_many_is_found(
    shared: int, one: int, other: int, epochs: int, dice: Random
) -> None:
    """So it is of larger sets, with short ids, however they spread over epochs."""
    every = keys(dice, shared + one + other, epochs)
    check(
        set(every[: shared + one]),
        set(every[:shared] + every[shared + one :]),
        SHORT_ID_BYTES,
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("moved", [0, 50, 100])
def test_few_differences_among_many_cost_little(seed: int, moved: int) -> None:
    """100 differences among 100,000 names take 60 KB and 3 times there and back."""
    every = keys(Random(seed), MANY, 1 + 100 * seed)
    outcome = reconcile(every[: MANY - 100 + moved], every[moved:])

    assert len(outcome.gifts[0]) + len(outcome.gifts[1]) == 100
    assert outcome.size <= 60_000
    assert len(outcome.frames) <= 6


def test_nothing_is_listed_to_who_has_nothing() -> None:
    """Where one side is empty, neither lists an id: the other gives all it has."""
    every = keys(Random(1), 10_000)

    assert reconcile(every, []).size < 2000
    assert reconcile([], every).size < 100


def test_sets_that_share_nothing_take_bounded_steps() -> None:
    """Each step is bounded and gets further, until everything was found."""
    every = keys(Random(2), 20_000)
    outcome = reconcile(every[:10_000], every[10_000:])

    assert sorted(outcome.gifts[0]) == sorted(every[:10_000])
    assert sorted(outcome.gifts[1]) == sorted(every[10_000:])
    assert max(map(len, outcome.frames)) <= MAX_FRAME_BYTES
    assert len(outcome.frames) <= 40


def test_equal_last_bytes_are_told_apart_by_whole_ids() -> None:
    """Ids whose last bytes somebody made the same are found by whole ids only."""
    one, other = bytes(36), bytes(4) + b"\x01" + bytes(31)

    assert reconcile([one], [other]).gifts == ([], [])
    assert reconcile([one], [other], id_bytes=ID_BYTES).gifts == ([one], [other])


def test_the_names_of_a_large_set_are_in_order_quickly() -> None:
    """Fingerprints of any run are there within half a second, on any machine."""
    every = keys(Random(3), MANY)
    started = time.perf_counter()
    names = SortedNames(every)
    for at in range(1000):
        names.fingerprint(at, at + 50_000)

    assert time.perf_counter() - started < 0.5


RANGES: Final = st.one_of(
    st.builds(Split, st.binary(max_size=36), st.binary(), st.binary()),
    st.builds(
        Split,
        st.just(b""),
        st.integers(0, 9).map(lambda n: b"".join(bytes([0, 1, x]) for x in range(n))),
        st.integers(0, 9).map(lambda n: EMPTY_FINGERPRINT * n),
    ),
    st.builds(
        Listed,
        st.binary(max_size=36),
        st.binary(max_size=36),
        st.sampled_from([8, 9, 32]),
        st.binary(),
    ),
    st.builds(
        Wanted,
        st.binary(max_size=36),
        st.binary(max_size=36),
        st.sampled_from([8, 9, 32]),
        st.binary(),
    ),
)


@given(st.lists(RANGES, max_size=6), SETS)
def test_hostile_ranges_are_refused_or_answered(
    ranges: list[Range], held: set[bytes]
) -> None:
    """Whatever is compared gives a bounded answer of what is held, or is refused."""
    try:
        step = answer(SortedNames(held), ranges)
    except MalformedError:
        return
    assert set(step.to_give) <= held
    assert len(step.to_give) == len(set(step.to_give))


@pytest.mark.parametrize(
    "ranges",
    [
        [Split(b"", b"\0\1\5\0\1\4", EMPTY_FINGERPRINT * 2)],
        [Split(b"", b"\0\1\5", EMPTY_FINGERPRINT * 2)],
        [Split(b"", b"\0\0\0\1\5", EMPTY_FINGERPRINT * 2)],
        [Split(b"", b"\1\1\5", EMPTY_FINGERPRINT)],
        [Split(b"", b"\0\x25" + b"x" * 37, EMPTY_FINGERPRINT)],
        [Split(b"", b"\0\7\5", EMPTY_FINGERPRINT)],
        [Split(b"", b"\0", EMPTY_FINGERPRINT)],
        [Split(b"\5", b"\0\1\5", EMPTY_FINGERPRINT)],
        [Listed(b"\5", b"\5", 8, b"")],
        [Listed(b"", b"\5", 8, bytes(9))],
        [Listed(b"", b"\5", 9, bytes(9))],
        [Listed(b"", b"", 8, b""), Listed(b"\5", b"\6", 8, b"")],
        [Listed(b"\5", b"\7", 8, b""), Listed(b"\6", b"\x08", 8, b"")],
    ],
)
def test_ranges_out_of_order_are_refused(ranges: list[Range]) -> None:
    """Ranges overlap neither each other nor go backwards, and have whole contents."""
    with pytest.raises(MalformedError):
        answer(SortedNames([]), ranges)


def test_an_answer_is_bounded_whatever_is_asked() -> None:
    """However many ranges differ, a step fits a frame and ends with the rest."""
    names = SortedNames(keys(Random(4), 50_000))
    ranges: list[Range] = [
        Split(
            bytes(4) + each.to_bytes(2),
            bytes([0, 6]) + bytes(4) + (each + 1).to_bytes(2),
            bytes(16),
        )
        for each in range(3000)
    ]
    step = answer(names, ranges)

    assert step.spent_bytes <= MAX_STEP_BYTES + 2048
    assert isinstance(step.ranges[-1], Split)
    assert step.ranges[-1].bounds.endswith((2999 + 1).to_bytes(2))


def test_few_names_are_listed_at_once() -> None:
    """A small set is not split at all."""
    held = keys(Random(5), MAX_LISTED)

    assert isinstance(opening(SortedNames(held))[0], Listed)
    assert isinstance(opening(SortedNames([*held, bytes(36)]))[0], Split)
