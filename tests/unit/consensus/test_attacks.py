"""What a member may try, and what comes of it."""

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.admission import is_of_text
from consensus.contribution import Contribution
from consensus.holding import Holding
from consensus.invitations import InviteTree
from consensus.resonance import Resonance
from consensus.result import Result
from consensus.rule import Preset
from tests.support.contributions import (
    CIRCLE,
    author,
    between,
    everybody,
    say,
    scattered,
    tree_of,
    unsay,
    vector,
)

FOUNDERS = InviteTree({})
presets = pytest.mark.parametrize("preset", Preset)


def followed(
    records: list[Contribution], preset: Preset, tree: InviteTree = FOUNDERS
) -> Result:
    """Return the consensus after each record came by itself."""
    resonance = Resonance(CIRCLE, preset)
    for record in records:
        resonance.put([record])
    return resonance.result(tree)


@presets
def test_one_identity_with_many_copies_makes_no_node(preset: Preset) -> None:
    """However many texts one person publishes, however alike, nothing comes of it."""
    copies = [say("one", number, vector(0, [number % 40])) for number in range(300)]
    echoed = [*copies, say("other", 0, vector(0))]

    assert followed(copies, preset).nodes == ()
    assert followed(echoed, preset).nodes == ()


@presets
def test_copies_count_once(preset: Preset) -> None:
    """In a node of others, a person with a hundred copies is one voice."""
    honest = everybody(1, range(3))
    copies = [say("one", number, vector(0, [number % 40])) for number in range(100)]

    (alone,) = followed(honest, preset).nodes
    (with_copies,) = followed([*honest, *copies], preset).nodes

    assert alone.counted_authors + 1 == with_copies.counted_authors
    assert len(with_copies.representatives) == 4


@settings(max_examples=30)
@given(
    puppets=st.integers(3, 60),
    seed=st.integers(0, 2**32),
    preset=st.sampled_from(Preset),
)
def test_one_branch_makes_no_node(puppets: int, seed: int, preset: Preset) -> None:
    """Whoever invites whom below one member, all of them together are two voices."""
    dice = random.Random(seed)
    members: dict[bytes, tuple[bytes | None, bool]] = {
        author(0): (None, False),
        author(1): (author(0), False),
    }
    for each in range(2, puppets):
        members[author(each)] = author(dice.randrange(1, each)), False
    records = [
        say(who, number, vector(0, [dice.randrange(60)]))
        for who in range(1, puppets)
        for number in range(dice.randrange(1, 4))
    ]

    assert followed(records, preset, tree_of(members)).nodes == ()


def test_two_branches_are_needed_beside_no_founder() -> None:
    """The bound is two of each branch: two branches that collude do make a node."""
    members: dict[bytes, tuple[bytes | None, bool]] = {
        author("left"): (author("founder"), False),
        author("right"): (author("founder"), False),
        **{author(f"left {n}"): (author("left"), False) for n in range(20)},
        **{author(f"right {n}"): (author("right"), False) for n in range(20)},
    }
    left = everybody(1, [f"left {n}" for n in range(20)])
    right = everybody(1, [f"right {n}" for n in range(20)])
    tree = tree_of(members)

    assert followed(left, Preset.STRICT, tree).nodes == ()
    (node,) = followed([*left, *right], Preset.STRICT, tree).nodes
    assert (node.counted_authors, node.contributor_count) == (4, 40)


def test_a_forged_vector_would_have_the_label_and_is_refused() -> None:
    """At the middle of a node it is the label; its own text refuses it."""
    dice = random.Random(4)
    honest = [say(who, who, scattered(dice, 0, 0.5)) for who in range(12)]
    numbers = [
        sum(each.vector[place] - 256 * (each.vector[place] > 127) for each in honest)
        for place in range(384)
    ]
    largest = max(map(abs, numbers))
    middle = bytes(round(each * 127 / largest) % 256 for each in numbers)
    forged = say("forger", "buy this", middle)

    (node,) = followed([*honest, forged], Preset.STRICT).nodes

    assert node.label == "thought buy this"
    assert not is_of_text(forged.vector, scattered(dice, 0, 0.5))
    assert all(is_of_text(each.vector, each.vector) for each in honest)
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put([*honest, forged])
    resonance.drop([forged])
    assert resonance.result(FOUNDERS) == followed(honest, Preset.STRICT)


def test_equal_references_and_sequences_resolve_alike() -> None:
    """Of records that contradict each other the smaller id stands, in every order."""
    rivals = [say(0, 0, vector(direction, [direction])) for direction in range(3)]
    rivals.append(unsay(0, 0, sequence=1))
    others = everybody(3, range(1, 4))
    results = set()
    for order in permutations(rivals):
        holding = Holding()
        for each in order:
            holding.put(each)
        (standing,) = holding
        assert standing.id == min(each.id for each in rivals)
        results.add(followed([*others, *order], Preset.STRICT).hash)

    assert len(results) == 1


def test_a_replay_changes_nothing() -> None:
    """A record that comes again, or after its replacement, has no effect."""
    first = everybody(1, range(4))
    replaced = say(0, 0, between(0, 1, 40), sequence=2)
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put([*first, replaced, unsay(1, 0)])
    before = resonance.result(FOUNDERS)

    for record in (*first, replaced, unsay(1, 0), *first):
        resonance.put([record])

    assert resonance.result(FOUNDERS) == before
    assert {each.author for each in resonance.holding.taking_part()} == {
        author(who) for who in (0, 2, 3)
    }
