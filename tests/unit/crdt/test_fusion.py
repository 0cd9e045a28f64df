"""Two rankings become one."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.fusion import fused

RANKINGS = st.lists(
    st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10),
    min_size=1,
    max_size=3,
)


@given(RANKINGS)
def test_scores_are_above_0_and_at_most_1(rankings: list[list[str]]) -> None:
    """Everything ranked is there once, and only what is first everywhere has 1."""
    found = dict(fused(rankings, lambda key: 0.0))

    assert set(found) == {key for ranking in rankings for key in ranking}
    for key, score in found.items():
        assert 0 < score <= 1 + 1e-12
        is_first = all(ranking[:1] == [key] for ranking in rankings)
        assert (score > 1 - 1e-12) == is_first


@given(RANKINGS, st.data())
def test_a_better_place_never_hurts(
    rankings: list[list[str]], data: st.DataObject
) -> None:
    """Whoever moves up in one ranking moves up, or stays, in the whole."""
    ranking = data.draw(st.sampled_from(rankings))
    if len(ranking) < 2:
        return
    at = data.draw(st.integers(1, len(ranking) - 1))
    before = dict(fused(rankings, lambda key: 0.0))
    key = ranking[at]
    ranking[at - 1], ranking[at] = ranking[at], ranking[at - 1]

    assert dict(fused(rankings, lambda key: 0.0))[key] > before[key]


def test_the_more_alive_comes_first_of_equals() -> None:
    """Energy decides where the rankings do not."""
    energies = {"a": 1.0, "b": 3.0, "c": 2.0}

    found = fused([["a", "b"], ["b", "a"], ["c"]], energies.__getitem__)

    assert [key for key, _ in found] == ["b", "a", "c"]
