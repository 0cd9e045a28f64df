"""What is nearest to a meaning: exact, and with ties that end."""

import random

from hypothesis import given
from hypothesis import strategies as st

from consensus.admission import similarity
from consensus.contribution import Contribution
from consensus.invitations import InviteTree
from consensus.model_tag import DIMENSION
from consensus.nearness import NodesNear
from consensus.resonance import Resonance
from consensus.rule import Preset
from tests.support.contributions import (
    CIRCLE,
    MODELS,
    Crowd,
    author,
    everybody,
    random_records,
    say,
    unsay,
    vector,
)

CROWD = Crowd(authors=12, directions=4, references=6)


def expected(
    records: list[Contribution], asked: bytes, limit: int
) -> list[tuple[bytes, int]]:
    """Return what is nearest, by comparing with every one."""
    ranked = sorted((-similarity(each.vector, asked), each.id) for each in records)
    return [(id_, -near) for near, id_ in ranked[:limit]]


@given(seed=st.integers(0, 2**32), count=st.integers(0, 60), limit=st.integers(1, 70))
def test_the_nearest_contributions_are_those(seed: int, count: int, limit: int) -> None:
    """Of what takes part the nearest come first, then the smaller ids; of one model."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    for record in random_records(seed, count, CROWD):
        resonance.put([record])
    asked = vector(random.Random(seed).randrange(4), [40])
    there = [
        each for each in resonance.holding.taking_part() if each.model == MODELS[0]
    ]

    found = resonance.nearest(asked, MODELS[0], limit)
    others = resonance.nearest(asked, MODELS[0], limit, author(0))

    assert [(each.id, near) for each, near in found] == expected(there, asked, limit)
    assert [(each.id, near) for each, near in others] == expected(
        [each for each in there if each.author != author(0)], asked, limit
    )


def test_what_is_gone_or_of_another_model_is_not_near() -> None:
    """Retractions take away; a model without contributions has nothing near."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put([say(0, 0, vector(0)), say(1, 0, vector(0)), unsay(1, 0)])

    near = resonance.nearest(vector(0), MODELS[0], 9)

    assert [(each.author, bp) for each, bp in near] == [(author(0), 10_000)]
    assert resonance.nearest(vector(0), MODELS[1], 9) == []
    assert resonance.nearest(bytes(DIMENSION), MODELS[0], 9) == []


def test_the_nearest_nodes_are_those() -> None:
    """A node is as near as its centroid; whatever may join one is near enough to it."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put(everybody(3, range(4)))
    nodes = resonance.result(InviteTree({})).nodes
    near = NodesNear(nodes)

    found = near.nearest(vector(1), MODELS[0], 2)
    best, bp = found[0]

    assert best.label == "thought 1"
    assert bp >= Preset.STRICT.value.join
    assert [each for _, each in found] == sorted((b for _, b in found), reverse=True)
    assert len(near.nearest(vector(1), MODELS[0], 9)) == len(nodes) == 3
    assert near.nearest(vector(1), MODELS[1], 9) == []
    assert near.nearest(bytes(DIMENSION), MODELS[0], 9) == []
    assert NodesNear(()).nearest(vector(1), MODELS[0], 9) == []
