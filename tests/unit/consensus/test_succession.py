"""Which node goes on as an earlier one did."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from consensus.result import ConsensusNode
from consensus.succession import News, news, seen, successors


def key(name: object) -> bytes:
    """Return a key by which nodes are in the order of their names."""
    return str(name).encode().rjust(32)


def node(name: object, *members: object, score: int = 9_000) -> ConsensusNode:
    """Return a node with these members."""
    return ConsensusNode(
        key=key(name),
        model=bytes(8),
        counted_authors=len(members),
        contributor_count=len(members),
        members=tuple(sorted(map(key, members))),
        representatives=(),
        label_id=key("label"),
        label="a label",
        score=score,
        centroid=b"",
    )


def continued(former: dict[str, str], present: dict[str, str]) -> list[tuple[str, str]]:
    """Return what continues what, members given as letters."""
    found = successors(
        {key(name): list(map(key, members)) for name, members in former.items()},
        {key(name): list(map(key, members)) for name, members in present.items()},
    )
    return [
        (old.strip().decode(), new.strip().decode())
        for old, new in sorted(found.items())
    ]


def test_half_of_the_members_are_enough() -> None:
    """A node that has half of both their members in common goes on; less is another."""
    assert continued({"old": "abcd"}, {"new": "cdab"}) == [("old", "new")]
    assert continued({"old": "abcd"}, {"new": "ab"}) == [("old", "new")]
    assert continued({"old": "abcd"}, {"new": "abcdefgh"}) == [("old", "new")]
    assert continued({"old": "abcd"}, {"new": "abcdefghi"}) == []
    assert continued({"old": "abcd"}, {"new": "aefg"}) == []
    assert continued({}, {"new": "a"}) == continued({"old": "a"}, {}) == []


def test_one_continues_one() -> None:
    """Where two could, the most alike does; of equally alike ones the smaller key."""
    split = {"1": "ab", "2": "cd"}

    assert continued({"old": "abcd"}, split) == [("old", "1")]
    assert continued(split, {"new": "abcd"}) == [("1", "new")]
    assert continued({"old": "abcde"}, {"1": "ab", "2": "cde"}) == [("old", "2")]


partitions = st.dictionaries(
    st.integers(0, 30), st.integers(0, 4), min_size=1, max_size=30
)


@given(before=partitions, after=partitions)
def test_succession_is_one_to_one(
    before: dict[int, int], after: dict[int, int]
) -> None:
    """In whatever order nodes are given, the same ones go on, as the slow rule says."""
    former, present = _groups(before, "a"), _groups(after, "b")
    found = successors(former, present)

    assert len(set(found.values())) == len(found)
    for order in list(permutations(former))[:6]:
        assert successors({each: former[each] for each in order}, present) == found
    for old, members in former.items():
        alike = [
            new
            for new, others in present.items()
            if 2 * len(members & others) >= len(members | others)
        ]
        assert (found.get(old) in alike) or set(alike) <= set(found.values())


def _groups(places: dict[int, int], prefix: str) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for member, place in places.items():
        found.setdefault(key(f"{prefix}{place}"), set()).add(key(member))
    return found


def test_news_tell_what_differs() -> None:
    """Nodes that are as they were are no news; new, changed and gone ones are."""
    same, changed, gone = node(1, "a"), node(2, "b"), node(3, "c", "d", "e")
    louder, heir = node(2, "b", score=9_100), node(4, "c", "d", "e", "f")

    found = news(map(seen, (same, changed, gone)), (same, louder, heir))

    assert found == News((louder, heir), (gone.key,), ((gone.key, heir.key),))
    assert not news([seen(same)], [same])
    assert news([], [same]).changed == (same,)
    assert news([seen(same)], []) == News(faded=(same.key,))
