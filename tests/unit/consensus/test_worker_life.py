"""When the process that embeds is started, given up and stopped."""

from hypothesis import given
from hypothesis import strategies as st

from consensus.worker_life import (
    LONGEST_PAUSE_MS,
    UNUSABLE_PAUSE_MS,
    State,
    WorkerLife,
)
from consensus.worker_messages import Unusable


def test_a_process_that_was_killed_is_back_at_once() -> None:
    """One loss costs no pause, for it may be anybody's doing."""
    life = WorkerLife(idle_ms=1)
    life.start(0)
    life.opened(b"12345678", 5)

    life.ended(10)

    assert life.start(10)


@given(st.integers(2, 200), st.sampled_from([None, Unusable("files")]))
def test_failures_in_a_row_cost_little(
    failures: int, unusable: Unusable | None
) -> None:
    """However often it fails, pauses grow to ten minutes and no further."""
    life = WorkerLife(idle_ms=1)
    now, pauses = 0, []
    for _ in range(failures):
        assert life.start(now)
        life.ended(now, unusable)
        pauses.append(life.may_start_ms - now)
        assert not life.start(life.may_start_ms - 1)
        now = life.may_start_ms

    assert pauses == sorted(pauses)
    assert pauses[-1] <= LONGEST_PAUSE_MS
    assert now >= (1 << min(failures - 2, 9)) * 1000


def test_a_batch_ends_the_row_of_failures() -> None:
    """After texts were embedded the next loss costs no pause again."""
    life = WorkerLife(idle_ms=1)
    for now in (0, 10_000, 20_000):
        life.start(now)
        life.ended(now)

    life.start(60_000)
    life.opened(b"12345678", 60_001)
    life.served(60_002)
    life.ended(60_003)

    assert life.may_start_ms == 60_003


def test_a_model_that_cannot_be_used_waits_for_a_person() -> None:
    """The cause says what is wrong and what to do, and the pause is long at once."""
    life = WorkerLife(idle_ms=1)
    life.start(0)

    life.ended(0, Unusable("dimension", 768))

    assert life.cause is not None
    assert "768" in life.cause
    assert life.state is State.WAITING
    assert life.may_start_ms == UNUSABLE_PAUSE_MS


def test_idle_time_counts_from_the_last_use() -> None:
    """A process is kept for the idle time after each batch."""
    life = WorkerLife(idle_ms=120_000)
    life.start(0)
    life.opened(b"12345678", 1_000)

    life.served(50_000)

    assert life.idle_left_ms(50_000) == 120_000
    assert life.idle_left_ms(200_000) == 0
