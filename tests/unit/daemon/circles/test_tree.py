"""The walk around a consensus node."""

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import NodeKey
from daemon.circles.tree import Branch, Reach, Step, walk

FAR = Reach(depth=9, decay=0.9, min_score=0.0, limit=1_000)


def steps_of(edges: Mapping[str, Iterable[str]]) -> dict[NodeKey, list[Step]]:
    return {
        NodeKey(source): [(NodeKey(target), "child") for target in targets]
        for source, targets in edges.items()
    }


def walked(edges: Mapping[str, Iterable[str]], reach: Reach) -> list[Branch]:
    steps = steps_of(edges)
    return walk([NodeKey("a")], lambda key: steps.get(key, []), reach)


def test_resonance_fades_with_each_step() -> None:
    """Where the walk begins it is whole, and each step leaves the same part of it."""
    found = walked({"a": "b", "b": "c"}, FAR)

    assert [(each.key, each.parent, each.depth) for each in found] == [
        ("a", None, 0),
        ("b", "a", 1),
        ("c", "b", 2),
    ]
    assert [round(each.resonance, 9) for each in found] == [1.0, 0.9, 0.81]


def test_a_cycle_ends_the_walk() -> None:
    """Each node comes once, by the shortest way."""
    found = walked({"a": "bc", "b": "ca", "c": "d", "d": "ab"}, FAR)

    assert [(each.key, each.depth) for each in found] == [
        ("a", 0),
        ("b", 1),
        ("c", 1),
        ("d", 2),
    ]


def test_what_is_too_faint_is_left_out() -> None:
    """Nothing below the least score is told."""
    chain = {"a": "b", "b": "c", "c": "d"}

    found = walked(chain, Reach(depth=9, decay=0.9, min_score=0.8, limit=9))

    assert [each.key for each in found] == ["a", "b", "c"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))),
    st.integers(0, 4),
    st.integers(1, 5),
)
def test_walks_are_bounded(edges: dict[str, set[str]], depth: int, limit: int) -> None:
    """No node comes twice, none is too far, and never more than asked for."""
    found = walked(edges, Reach(depth=depth, decay=0.5, min_score=0.0, limit=limit))

    keys = [each.key for each in found]
    assert len(keys) == len(set(keys)) <= limit
    assert all(each.depth <= depth for each in found)
    assert all(each.parent in keys for each in found[1:])
