"""Lines of commands: each is carried out or refused by its number."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError, NotFoundError
from crdt.replica import Replica
from daemon.bulk import apply_lines
from daemon.faults import NotJsonError
from tests.support.replicas import START_MS, Device, scratch_folder

GOOD = b'{"op":"put_node","key":"a","label":"A"}'
LINES = {
    GOOD: None,
    b'{"op":"pulse","key":"a"}\r': None,
    b"": None,
    b" \t\r": None,
    b"{": NotJsonError,
    b'{"op":"put_node","key":"\xff","label":"x"}': NotJsonError,
    b'{"op":"put_node","metadata":' + b'{"a":' * 100_000: NotJsonError,
    b"[]": InvalidError,
    b'{"op":"fly"}': InvalidError,
    b'{"op":"once","receipt":"","request":""}': InvalidError,
    b'{"op":"put_node","key":"","label":"x"}': InvalidError,
    b'{"op":"put_node","key":"a","label":"x","colour":1}': InvalidError,
    b'{"op":"delete_node","key":"nowhere"}': NotFoundError,
}


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    """Run a replica that has the node `a`."""
    with scratch_folder() as home, Device(home).running() as replica:
        apply_lines(replica, [GOOD], 1, START_MS)
        yield replica


@given(
    places=st.lists(st.integers(0, len(LINES) - 1), max_size=12),
    first=st.integers(1, 10**6),
)
def test_each_line_is_carried_out_or_refused(
    replica: Replica, places: list[int], first: int
) -> None:
    """Blank lines count as lines only; refusals come in order with their numbers."""
    lines = [list(LINES)[place] for place in places]

    applied = apply_lines(replica, lines, first, START_MS)

    expected = [
        (first + place, LINES[line])
        for place, line in enumerate(lines)
        if LINES[line] is not None
    ]
    found = [(each.line, type(each.error)) for each in applied.refusals]
    assert found == expected
    blank = sum(not line.strip() for line in lines)
    assert applied.count == len(lines) - blank - len(expected)


def test_a_line_sees_what_those_before_it_did() -> None:
    """Lines of one group are carried out one after the other."""
    lines = [
        GOOD,
        b'{"op":"put_edge","from":"a","to":"b"}',
        b'{"op":"put_node","key":"b","label":"B"}',
        b'{"op":"put_edge","from":"a","to":"b"}',
    ]
    with scratch_folder() as home, Device(home).running() as replica:
        applied = apply_lines(replica, lines, 1, START_MS)
        totals = replica.totals

    assert [refusal.line for refusal in applied.refusals] == [2]
    assert (applied.count, totals.nodes, totals.edges) == (3, 2, 1)
