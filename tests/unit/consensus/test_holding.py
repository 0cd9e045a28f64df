"""Which records stand: a map that merges, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from consensus.holding import Change, Holding
from consensus.rule import QUOTA
from tests.support.contributions import (
    Crowd,
    author,
    between,
    crowds,
    random_records,
    say,
    unsay,
    vector,
)
from tests.support.slow_consensus import standing


@given(
    seed=st.integers(0, 2**32), crowd=crowds, count=st.integers(0, 60), data=st.data()
)
def test_a_set_has_one_state(
    seed: int, crowd: Crowd, count: int, data: st.DataObject
) -> None:
    """In any order and with repetitions the same records stand and take part."""
    records = random_records(seed, count, crowd)
    again = data.draw(st.permutations(records + records[: count // 2]))
    one, other = Holding(), Holding()
    for record in records:
        one.put(record)
    for record in again:
        other.put(record)

    assert {each.id for each in one} == {each.id for each in other}
    taking_part = {each.id for each in standing(records)}
    assert {each.id for each in one.taking_part()} == taking_part
    assert {each.id for each in other.taking_part()} == taking_part


def test_changes_add_up() -> None:
    """What enters and leaves with each record is what takes part in the end."""
    holding = Holding()
    present: set[bytes] = set()
    for number in range(QUOTA + 300):
        sequence = 1 + number * 7 % 400
        record = say(
            0,
            number % 550,
            between(0, 1, number % 100),
            sequence=sequence,
            epoch=number,
        )
        if number % 9 == 0:
            record = unsay(0, number % 550, sequence=sequence)
        change = holding.put(record)
        for each in change.leaving:
            present.remove(each.id)
        for each in change.entering:
            assert each.id not in present
            present.add(each.id)

        assert present == {each.id for each in holding.taking_part()}
    assert len(present) <= QUOTA


def test_of_equal_sequences_the_smaller_id_stands() -> None:
    """Two devices of a person that publish at once make one record stand, the same."""
    both = [say(0, 0, vector(direction)) for direction in range(2)]
    for pair in (both, both[::-1]):
        holding = Holding()
        for record in pair:
            holding.put(record)
        assert [each.id for each in holding] == [min(each.id for each in both)]


def test_a_retraction_keeps_earlier_records_out() -> None:
    """A replayed contribution does not come back to life."""
    holding = Holding()
    holding.put(unsay(0, 0, sequence=2))

    change = holding.put(say(0, 0, vector(0), sequence=1))

    assert (change.entering, change.leaving) == ((), ())
    assert list(holding.taking_part()) == []
    assert holding.largest_sequence(author(0)) == 2
    assert holding.largest_sequence(author(1)) == 0


def test_what_is_dropped_may_come_again() -> None:
    """Only the record that stands can be dropped; then an earlier one is as a new."""
    holding = Holding()
    old, new = say(0, 0, vector(0)), say(0, 0, vector(1), sequence=2)
    holding.put(new)

    assert holding.drop(old) == Change()
    assert holding.drop(new) == Change(leaving=(new,))
    assert holding.drop(new) == Change()
    assert holding.put(old) == Change(entering=(old,))
    holding.put(unsay(0, 0))
    assert holding.drop(unsay(0, 0)) == Change()
    assert holding.put(old) == Change(entering=(old,))


def test_room_in_the_quota_is_given_on() -> None:
    """Where a record within the quota is dropped, the next one takes part."""
    holding = Holding()
    many = [
        say(0, number, between(0, 1, number % 100), sequence=number)
        for number in range(QUOTA + 1)
    ]
    for each in many:
        holding.put(each)

    assert holding.drop(many[-1]) == Change(entering=(many[0],), leaving=(many[-1],))
