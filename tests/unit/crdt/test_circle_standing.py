"""Which records stand is the same in whatever order and parts they come."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crdt.circle_items import ItemName, SetSum
from crdt.circle_standing import Fallen, Placed, Standing
from crdt.ids import AuthorKey

MOST = 4

placed = st.builds(
    lambda author, slot, sequence, dice: Placed(
        AuthorKey(bytes([author])),
        bytes([slot]),
        sequence,
        ItemName(dice % 3, sha256(bytes([author, slot, sequence, dice])).digest()),
    ),
    st.integers(0, 2),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 3),
)
batches = st.lists(st.lists(placed, max_size=8), max_size=10)


def newest(one: Placed) -> tuple[int, bytes]:
    """Return by what records are in order: the larger sequence, then the smaller id."""
    return -one.sequence, one.name.id


def expected(records: Sequence[Placed]) -> set[Placed]:
    """Return what stands by the law itself, all records at hand."""
    slots: dict[tuple[AuthorKey, bytes], Placed] = {}
    for each in records:
        slot = each.author, each.slot
        slots[slot] = min(slots.get(slot, each), each, key=newest)
    taken: Counter[AuthorKey] = Counter()
    found: set[Placed] = set()
    for each in sorted(slots.values(), key=newest):
        taken[each.author] += 1
        if taken[each.author] <= MOST:
            found.add(each)
    return found


def joined(parts: Sequence[Sequence[Placed]]) -> Standing:
    """Return what stands after each part in turn, its plans checked."""
    standing = Standing(MOST)
    for part in parts:
        before = set(standing)
        plan = standing.plan(part)
        assert set(standing) == before
        standing.carry_out(plan)
        assert set(standing) == (before - set(plan.leaving)) | set(plan.entering)
        assert set(plan.leaving) <= before
        named = {each.name.id for each in part}
        entered = {each.name.id for each in plan.entering}
        assert named == entered | plan.fallen.keys()
        assert not entered & plan.fallen.keys()
    return standing


@given(batches, st.randoms(use_true_random=False))
def test_any_order_and_any_parts_give_one_set(
    parts: list[list[Placed]], dice: Random
) -> None:
    """Shuffled, repeated and cut otherwise, records leave the same set and sum."""
    everything = [each for part in parts for each in part]
    one = joined(parts)
    assert set(one) == expected(everything)
    shuffled = everything + everything[: len(everything) // 2]
    dice.shuffle(shuffled)
    other = joined([[each] for each in shuffled])
    assert set(other) == set(one)
    assert other.sum == one.sum
    assert other.names() == one.names() == sorted(one.names())


@given(batches, batches)
def test_sets_that_are_joined_are_equal(
    here: list[list[Placed]], there: list[list[Placed]]
) -> None:
    """Two that give each other only what stands come to hold the same."""
    one, other = joined(here), joined(there)
    given, taken = list(one), list(other)
    one.carry_out(one.plan(taken))
    other.carry_out(other.plan(given))
    assert set(one) == set(other) == expected([e for p in (*here, *there) for e in p])
    assert one.sum == other.sum


@given(batches, st.integers(0, 2))
def test_who_is_forgotten_leaves_nothing(parts: list[list[Placed]], who: int) -> None:
    """After an author is forgotten the set is as if they had never been there."""
    author = AuthorKey(bytes([who]))
    standing = joined(parts)
    standing.forget(author)
    without = [[e for e in part if e.author != author] for part in parts]
    other = joined(without)
    assert set(standing) == set(other)
    assert standing.sum == other.sum
    assert list(standing.names()) == list(other.names())
    assert standing.largest_sequence(author) == 0


@given(batches)
def test_a_fall_is_told_before_anything_is_done(parts: list[list[Placed]]) -> None:
    """What would fall at the door is what falls by the plan."""
    standing = joined(parts)
    for each in (e for part in parts for e in part):
        fall = standing.fall_of(each)
        assert fall == standing.plan([each]).fallen.get(each.name.id)
        assert (fall is Fallen.DUPLICATE) == (each.name.id in standing)


@given(st.lists(st.binary(min_size=32, max_size=32), unique=True))
def test_a_sum_follows_its_set(ids: list[bytes]) -> None:
    """What enters and leaves in any order leaves the sum of what is there."""
    total = SetSum()
    for each in ids:
        total = total.plus(each)
    back = total
    for each in ids[::2]:
        back = back.minus(each)
    rest = SetSum()
    for each in reversed(ids[1::2]):
        rest = rest.plus(each)
    assert back == rest
    assert (back.fingerprint == total.fingerprint) == (len(ids) == 0)
