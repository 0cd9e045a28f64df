"""When to seal, and what goes together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import ShardNumber
from crdt.payload import MAX_CHANGES, ShardChange, encoded_size
from crdt.sealing import (
    MAX_BATCH_BYTES,
    MAX_UNSEALED,
    MAX_WAIT_MS,
    MIN_WAIT_MS,
    SealingSchedule,
    split,
)

steps = st.lists(
    st.tuples(st.integers(0, 120), st.integers(1, 60)), min_size=1, max_size=60
)
sizes = st.sampled_from([0, 1, 1000, 200_000, MAX_BATCH_BYTES - 9, MAX_BATCH_BYTES + 1])


def run(arrivals: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[int]]:
    """Seal whenever due while updates arrive; return (time, updates) and waits.

    Arrivals are (milliseconds since the one before, updates).
    """
    schedule, sealed, waits = SealingSchedule(), [], []
    now, unsealed, first_ms = 1000, 0, 0

    def seal_until(end: int) -> None:
        nonlocal unsealed
        due = schedule.due_ms
        if due is not None and due <= end:
            schedule.sealed(due)
            sealed.append((due, unsealed))
            waits.append(due - first_ms)
            unsealed = 0

    for pause, updates in arrivals:
        seal_until(now + pause - 1)
        now += pause
        if not unsealed:
            first_ms = now
        schedule.add(updates, now)
        unsealed += updates
        seal_until(now)
    seal_until(now + MAX_WAIT_MS)
    return sealed, waits


@given(steps)
def test_every_update_is_sealed_once_and_soon(arrivals: list[tuple[int, int]]) -> None:
    """All updates are sealed, none later than 50 ms after the first unsealed one."""
    sealed, waits = run(arrivals)

    assert sum(count for _, count in sealed) == sum(count for _, count in arrivals)
    assert all(0 <= wait <= MAX_WAIT_MS for wait in waits)


@given(steps)
def test_envelopes_are_apart(arrivals: list[tuple[int, int]]) -> None:
    """Two envelopes less than 5 ms apart happen only because 50 updates are full."""
    sealed, _ = run(arrivals)

    for (before, _), (after, count) in pairwise(sealed):
        assert after - before >= MIN_WAIT_MS or count >= MAX_UNSEALED


@given(st.lists(st.integers(0, MIN_WAIT_MS - 1), min_size=1, max_size=600))
def test_envelopes_are_few_under_load(pauses: list[int]) -> None:
    """While updates keep coming, one envelope takes 50 of them or 50 ms."""
    sealed, _ = run([(pause, 1) for pause in pauses])

    partial = sum(count < MAX_UNSEALED for _, count in sealed)
    assert partial <= 6 + sum(pauses) / (MAX_WAIT_MS - MIN_WAIT_MS)


@given(st.lists(st.integers(MIN_WAIT_MS, 200), min_size=1, max_size=40))
def test_somebody_who_types_is_not_made_to_wait(pauses: list[int]) -> None:
    """Updates at least 5 ms apart are each sealed at once."""
    _, waits = run([(pause, 1) for pause in pauses])

    assert waits == [0] * len(pauses)


def test_a_busy_device_waits_longer_each_time() -> None:
    """Right after an envelope updates gather; the fiftieth makes them due."""
    schedule = SealingSchedule()
    assert schedule.due_ms is None
    schedule.add(1, 1000)
    assert schedule.due_ms == 1000
    schedule.sealed(1000)
    assert schedule.due_ms is None

    schedule.add(1, 1001)
    assert schedule.due_ms == 1000 + MIN_WAIT_MS
    schedule.sealed(1005)
    schedule.add(1, 1006)
    assert schedule.due_ms == 1005 + 2 * MIN_WAIT_MS
    schedule.add(MAX_UNSEALED - 2, 1007)
    assert schedule.due_ms == 1005 + 2 * MIN_WAIT_MS
    schedule.add(1, 1008)
    assert schedule.due_ms == 1008
    schedule.sealed(1008)

    schedule.add(1, 1100)
    schedule.sealed(1100)
    schedule.add(1, 1101)
    assert schedule.due_ms == 1100 + MIN_WAIT_MS


@given(st.lists(sizes, max_size=20))
def test_groups_keep_order_and_size(update_sizes: list[int]) -> None:
    """Joined groups are the input; only a single change may exceed the size."""
    changes = [
        ShardChange(ShardNumber(number), bytes(size))
        for number, size in enumerate(update_sizes)
    ]
    groups = list(split(changes))

    assert [change for group in groups for change in group] == changes
    for group in groups:
        total = sum(encoded_size(change) for change in group)
        assert len(group) == 1 or total <= MAX_BATCH_BYTES
    for group, following in pairwise(groups):
        # Greedy: the next change would not have fitted.
        joined = sum(encoded_size(change) for change in (*group, following[0]))
        assert joined > MAX_BATCH_BYTES


def test_groups_keep_to_the_count() -> None:
    """No group has more changes than one envelope may carry."""
    tiny = ShardChange(ShardNumber(1), b"")

    lengths = [len(group) for group in split([tiny] * (MAX_CHANGES + 1))]

    assert lengths == [MAX_CHANGES, 1]
