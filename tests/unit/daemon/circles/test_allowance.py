"""Authors are slowed down, never shut out."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import AuthorKey
from daemon.circles.allowance import Allowance

ADA, EVE = AuthorKey(b"ada"), AuthorKey(b"eve")


def test_a_burst_is_taken_and_then_one_now_and_then() -> None:
    """So many come at once; after that one for each time that passes."""
    allowance = Allowance(most=3, refill_ms=1_000)
    assert [allowance.take(ADA, 0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(EVE, 0)
    assert not allowance.take(ADA, 999)
    assert allowance.take(ADA, 1_000)
    assert not allowance.take(ADA, 1_001)
    assert [allowance.take(ADA, 1_000_000) for _ in range(4)].count(True) == 3


@given(st.lists(st.integers(0, 5_000), max_size=60))
def test_no_more_than_the_rate_is_taken(gaps: list[int]) -> None:
    """In any time no more is taken than the burst and what the time allows."""
    allowance = Allowance(most=5, refill_ms=1_000)
    now_ms, taken = 0, 0
    for gap in gaps:
        now_ms += gap
        taken += allowance.take(ADA, now_ms)
        assert taken <= 5 + now_ms / 1_000


@given(st.lists(st.integers(0, 5_000), max_size=60))
def test_who_is_refused_is_taken_later(gaps: list[int]) -> None:
    """However often somebody asked in vain, after one refill there is room."""
    allowance = Allowance(most=2, refill_ms=1_000)
    now_ms = 0
    for gap in gaps:
        now_ms += gap
        if not allowance.take(ADA, now_ms):
            assert allowance.take(ADA, now_ms + 1_000)
            now_ms += 1_000
