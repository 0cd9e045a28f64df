"""Consensus kept up record by record is that of all records at once, always."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.invitations import InviteTree
from consensus.rc1 import consensus
from consensus.resonance import Resonance
from consensus.rule import Preset
from tests.support.contributions import (
    CIRCLE,
    Crowd,
    author,
    crowds,
    random_members,
    random_records,
    say,
    tree_of,
    turned,
    unsay,
)

FOUNDERS = InviteTree({})
DENSE = Crowd(authors=60, directions=3, references=12)


def standing(resonance: Resonance, preset: Preset) -> bytes:
    """Return the hash of all that a circle holds, worked out at once."""
    return consensus(CIRCLE, preset, FOUNDERS, list(resonance.holding)).hash


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    crowd=crowds,
    count=st.integers(0, 40),
    preset=st.sampled_from(Preset),
)
def test_after_every_record_it_is_the_whole_rule(
    seed: int, crowd: Crowd, count: int, preset: Preset
) -> None:
    """Whether it is looked at or not in between, the result is that of the set."""
    resonance = Resonance(CIRCLE, preset)
    unseen = Resonance(CIRCLE, preset)
    tree = tree_of(random_members(seed, crowd))
    records = random_records(seed, count, crowd)

    for number, record in enumerate(records, start=1):
        resonance.put([record])
        unseen.put([record])
        expected = consensus(CIRCLE, preset, tree, records[:number])
        assert resonance.result(tree) == expected
    assert unseen.result(tree) == resonance.result(tree)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32), preset=st.sampled_from(Preset))
def test_dense_circles_stay_exact(seed: int, preset: Preset) -> None:
    """Hundreds of records near each other, in batches, singly, and with people gone."""
    dice = random.Random(seed)
    resonance = Resonance(CIRCLE, preset)
    waiting = random_records(seed, 300, DENSE)
    resonance.put(waiting[:200])
    del waiting[:200]

    while waiting:
        count = dice.choice([1, 1, 1, 5, 100])
        resonance.put(waiting[:count])
        del waiting[:count]
        if dice.random() < 0.03:
            resonance.forget(author(dice.randrange(DENSE.authors)))
        if dice.random() < 0.2:
            assert resonance.result(FOUNDERS).hash == standing(resonance, preset)
    assert resonance.result(FOUNDERS).hash == standing(resonance, preset)


def test_twenty_orders_and_batches_agree() -> None:
    """One set has one hash over 20 orders, batches and interleaved retractions."""
    records = random_records(11, 300, DENSE)
    hashes = set()
    for seed in range(20):
        dice = random.Random(seed)
        shuffled = dice.sample(records, len(records))
        resonance = Resonance(CIRCLE, Preset.STRICT)
        while shuffled:
            count = dice.choice([1, 2, 30, 200])
            resonance.put(shuffled[:count])
            del shuffled[:count]
            if dice.random() < 0.2:
                resonance.result(FOUNDERS)
        hashes.add(resonance.result(FOUNDERS).hash)

    assert len(hashes) == 1


def test_everything_can_go() -> None:
    """When all people have left, nothing stays: no node and nothing in memory."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put(random_records(3, 200, DENSE))
    assert resonance.result(FOUNDERS).nodes

    for who in range(DENSE.authors):
        resonance.forget(author(who))

    assert resonance.result(FOUNDERS) == consensus(CIRCLE, Preset.STRICT, FOUNDERS, [])
    assert list(resonance.holding) == []


def test_what_comes_and_goes_leaves_no_trace() -> None:
    """Of records that were replaced many times over only those that stand count."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    crowd = Crowd(authors=30, directions=3, references=3)
    for number in range(6):
        for record in random_records(number, 100, crowd):
            resonance.put([record])
    assert resonance.result(FOUNDERS).hash == standing(resonance, Preset.STRICT)


def test_a_centre_that_falls_behind_gives_way() -> None:
    """Who loses neighbours may fall behind one whose own neighbours all stay."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put([say(degrees, 0, turned(degrees)) for degrees in (0, 40, 80)])
    resonance.put([say(who, 0, turned(120)) for who in ("one", "two")])
    (before,) = resonance.result(FOUNDERS).nodes

    resonance.put([unsay(who, 0) for who in ("one", "two")])

    (after,) = resonance.result(FOUNDERS).nodes
    assert len(after.members) == 3
    assert set(after.members) != set(before.members)
    assert resonance.result(FOUNDERS).hash == standing(resonance, Preset.STRICT)
