"""Updates read as creations, and large updates in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.document import BodyDocument, ShardDocument
from crdt.yjs_creations import read_creations
from crdt.yjs_profile import BODY, EDGES, NODES, SHARD
from crdt.yjs_split import split_update
from crdt.yjs_update import encode_creations, parse
from tests.support.hostile_updates import hostile_updates

entries = st.lists(
    st.tuples(st.sampled_from((NODES, EDGES)), st.text(), st.text(max_size=200)),
    min_size=1,
    max_size=20,
    unique_by=lambda entry: entry[:2],
)
edits = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from("abcd"), st.text(max_size=40)),
    max_size=30,
)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20), entries)
def test_creations_are_read_back(
    client: int, clock: int, found: list[tuple[str, str, str]]
) -> None:
    """What `encode_creations` writes is read as exactly that."""
    creations = read_creations(encode_creations(client, clock, found))

    assert creations is not None
    assert (creations.client, creations.clock) == (client, clock)
    assert creations.entries == found
    assert creations.end == clock + len(found)


def test_only_what_the_parser_accepts_is_read_as_creations() -> None:
    """Of thousands of broken updates those read as creations mean just that."""
    read = 0
    for case in hostile_updates(seed=3, count=3000):
        creations = read_creations(case.data)
        if creations is None:
            continue
        read += 1
        parsed = parse(case.data, SHARD)
        place = {creations.client: (creations.clock, creations.end)}
        assert parsed.clients == place
        assert list(parsed.touched) == [entry[:2] for entry in creations.entries]
        assert (parsed.overwritten, parsed.deletes) == ([], {})
        document = ShardDocument(1, [case.data])
        assert document.entries() == creations.by_map()
    assert read > 20


def test_a_key_that_comes_twice_is_no_creation() -> None:
    """Which of two entries wins is for the document to say."""
    twice = [(NODES, "a", "1"), (NODES, "a", "2")]
    assert read_creations(encode_creations(7, 0, twice)) is None
    assert read_creations(encode_creations(7, 2**31 - 1, twice[:1])) is None
    assert read_creations(b"") is None


@given(edits, st.integers(1, 200))
def test_pieces_of_a_shard_make_the_same_shard(
    edits: list[tuple[int, str, str]], size: int
) -> None:
    """Cut anywhere and applied in order, a shard's update has the same effect."""
    documents = {client: ShardDocument(client, []) for client in (1, 2, 3)}
    whole = ShardDocument(9, [])
    for client, key, value in edits:
        update = documents[client].write([(NODES, key, value)])
        for other in (*documents.values(), whole):
            other.apply(update)
    update = whole.snapshot()
    pieces = list(split_update(update, SHARD, size))
    for piece in pieces:
        parse(piece, SHARD)
    again = ShardDocument(9, pieces)

    assert again.entries() == whole.entries()
    assert again.clocks() == whole.clocks()
    assert again.snapshot() == update


@given(st.lists(st.text(max_size=30), max_size=10), st.integers(1, 60))
def test_pieces_of_a_body_make_the_same_body(texts: list[str], size: int) -> None:
    """So do those of a body, with what was deleted."""
    body = BodyDocument(5, [])
    for text in texts:
        body.replace(text)
    update = body.snapshot()
    again = BodyDocument(6, split_update(update, BODY, size))

    assert again.text() == body.text()
    assert again.snapshot() == update


def test_pieces_are_small() -> None:
    """No piece is larger than asked for, but for the head, unless one struct is."""
    found = [(NODES, f"{number}", "x" * 100) for number in range(100)]
    update = encode_creations(7, 0, found)
    pieces = list(split_update(update, SHARD, 1000))

    assert len(pieces) > 10
    assert max(map(len, pieces)) <= 1000 + 16
    assert list(split_update(update, SHARD, len(update))) == [update]
    assert len(list(split_update(update, SHARD, 1))) == 100
