"""JavaScript Yjs and this project read each other's shards and bodies."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from pycrdt import Doc, Map, Text, merge_updates

from crdt.errors import MalformedError
from crdt.yjs_profile import BODY, EDGES, NODES, SHARD, Profile
from crdt.yjs_update import check_owner, decode_state_vector, encode_creations, parse
from tests.interop.conftest import BROWSER, Ask

IMPORTER: Final = 2**32 - 5
DAEMON: Final = 300

CREATED: Final = [
    (NODES, "k\x1f@d", '{"label":"one 😀","number":9007199254740993}'),
    (NODES, "é\x1f@d", '{"label":"zwei"}'),
    (NODES, "k\x1fm." + "x" * 300, '"' + "long " * 5000 + '"'),
    (EDGES, "k\x1fe0123456789abcdef", '["é","child",1.0,{}]'),
]


def shard_updates() -> list[bytes]:
    """Creations of an import, then overwrites and deletions made by pycrdt."""
    updates = [encode_creations(IMPORTER, 0, CREATED)]
    document: Doc[Any] = Doc(client_id=DAEMON)
    document.apply_update(updates[0])
    document.observe(lambda event: updates.append(event.update))
    nodes: Map[str] = document.get(NODES, type=Map)
    nodes["k\x1f@d"] = '{"label":"changed é"}'
    nodes["k\x1flabel"] = '"new"'
    with document.transaction():
        nodes["k\x1flabel"] = '"newer"'
        nodes["k\x1flabel"] = '"newest 😀"'
    del nodes["é\x1f@d"]
    return updates


def body_updates() -> list[bytes]:
    """A text with surrogate pairs, edited and formatted by pycrdt."""
    updates: list[bytes] = []
    document: Doc[Any] = Doc(client_id=DAEMON)
    document.observe(lambda event: updates.append(event.update))
    text: Text = document.get("t", type=Text)
    text += "one 😀 two é 𐍈\n"
    text.insert(len("one 😀".encode()), "😀 and")
    del text[0 : len("one ")]
    text.format(0, len("😀".encode()), {"bold": True, "link": "x:é"})
    return updates


def read_shard(updates: Sequence[bytes]) -> dict[str, dict[str, str]]:
    document = load(updates)
    return {root: document.get(root, type=Map).to_py() for root in (NODES, EDGES)}


def load(updates: Sequence[bytes]) -> Doc[Any]:
    document: Doc[Any] = Doc()
    for update in updates:
        document.apply_update(update)
    return document


def accepted(answer: dict[str, Any], profile: Profile) -> list[bytes]:
    """Return the updates that JavaScript made, all accepted as its own."""
    made = [bytes.fromhex(update) for update in answer["made"]]
    for update in made:
        check_owner(parse(update, profile), {BROWSER})
    for state in ("state", "merged"):
        assert parse(bytes.fromhex(answer[state]), profile).fits({})
    with pytest.raises(MalformedError):
        parse(bytes.fromhex(answer["version2"]), profile)
    return made


def test_javascript_reads_a_shard(javascript: Ask) -> None:
    """Creations, overwrites and deletions read the same in JavaScript, in any form."""
    updates = shard_updates()
    expected = read_shard(updates)
    assert expected[NODES]["k\x1flabel"] == '"newest 😀"'
    assert expected[EDGES] == {CREATED[3][1]: CREATED[3][2]}
    whole = load(updates).get_update()

    for form in (updates, updates[::-1], [whole], [merge_updates(*updates)]):
        answer = javascript(form)
        assert {NODES: answer["n"], EDGES: answer["e"]} == expected


def test_creations_alone_read_as_written(javascript: Ask) -> None:
    """JavaScript finds exactly the entries of an import."""
    answer = javascript([encode_creations(IMPORTER, 0, CREATED)])

    found = [(root, *item) for root in "ne" for item in answer[root].items()]
    assert sorted(found) == sorted(CREATED)
    assert decode_state_vector(bytes.fromhex(answer["vector"])) == {IMPORTER: 4}


def test_a_shard_edited_in_javascript_is_accepted(javascript: Ask) -> None:
    """JavaScript's edits of a shard pass the parser and read the same here."""
    updates = shard_updates()
    edits = [
        ["set", NODES, "k\x1flabel", '"from a browser 😀"'],
        ["set", NODES, "k\x1flabel", '"again"'],
        ["set", EDGES, "k\x1fe0123456789abcdef\x1fw", "0.5"],
        ["erase", NODES, "k\x1f@d"],
    ]

    answer = javascript(updates, edits)

    made = accepted(answer, SHARD)
    assert len(made) == len(edits)
    expected = {NODES: answer["n"], EDGES: answer["e"]}
    assert expected[NODES]["k\x1flabel"] == '"again"'
    assert read_shard(updates + made) == expected
    assert read_shard([bytes.fromhex(answer["state"])]) == expected
    assert read_shard([bytes.fromhex(answer["merged"])]) == expected


def test_javascript_reads_a_body(javascript: Ask) -> None:
    """A text with surrogate pairs and formats reads the same in JavaScript."""
    updates = body_updates()
    text: Text = load(updates).get("t", type=Text)
    assert str(text) == "😀😀 and two é 𐍈\n"

    for form in (updates, [load(updates).get_update()], [merge_updates(*updates)]):
        answer = javascript(form)
        assert answer["text"] == str(text)
        assert answer["delta"] == [
            {"insert": run} | ({"attributes": attributes} if attributes else {})
            for run, attributes in text.diff()
        ]


def test_a_body_edited_in_javascript_is_accepted(javascript: Ask) -> None:
    """JavaScript's edits of a body pass the parser and read the same here."""
    updates = body_updates()
    edits = [
        ["delta", [{"retain": 2}, {"insert": "é😀"}, {"retain": 2}, {"delete": 3}]],
        ["delta", [{"retain": 5, "attributes": {"bold": None, "header": 1}}]],
        ["delta", [{"insert": "𐍈", "attributes": {"link": "x:😀", "size": 1.5}}]],
        ["delta", [{"delete": 2}]],
    ]

    answer = javascript(updates, edits)

    made = accepted(answer, BODY)
    assert len(made) == len(edits)
    for form in (updates + made, [bytes.fromhex(answer["state"])]):
        text: Text = load(form).get("t", type=Text)
        assert str(text) == answer["text"]
    halves: set[tuple[int, int]] = set()
    document = load([])
    for update in updates + made:
        parsed = parse(update, BODY)
        clocks = decode_state_vector(document.get_state())
        assert parsed.fits(clocks)
        assert not parsed.splits_pair(halves, clocks)
        halves |= parsed.pair_halves
        document.apply_update(update)


def test_half_a_pair_deleted_in_javascript_is_recognised(javascript: Ask) -> None:
    """A browser may delete half a pair; its update is seen to split one."""
    document: Doc[Any] = Doc(client_id=DAEMON)
    document.get("t", type=Text).insert(0, "a😀b")
    whole = document.get_update()

    answer = javascript([whole], [["delta", [{"retain": 2}, {"delete": 1}]]])

    (made,) = accepted(answer, BODY)
    halves = parse(whole, BODY).pair_halves
    assert parse(made, BODY).splits_pair(halves, {DAEMON: 4})


def test_an_embedded_object_is_refused(javascript: Ask) -> None:
    """What a body has no place for is refused even from an honest editor."""
    answer = javascript([], [["delta", [{"insert": {"image": "x"}}]]])

    with pytest.raises(MalformedError, match="of a kind its document does not hold"):
        parse(bytes.fromhex(answer["made"][0]), BODY)
