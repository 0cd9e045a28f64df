"""Laws of the Yjs update format: what is read, refused and written."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from crdt.errors import ForgedError, MalformedError
from crdt.yjs_bytes import encode_number, read_number
from crdt.yjs_profile import BODY, EDGES, NODES, SHARD, Profile
from crdt.yjs_update import (
    EMPTY_UPDATE,
    check_owner,
    decode_state_vector,
    encode_creations,
    parse,
)

VECTORS: Final = json.loads(
    (Path(__file__).parents[2] / "vectors" / "yjs_update.json").read_text()
)
PROFILES: Final = {"shard": SHARD, "body": BODY}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.tuples(st.sampled_from([NODES, EDGES]), texts)
entry_lists = st.dictionaries(keys, texts, max_size=20).map(
    lambda found: [(root, key, value) for (root, key), value in found.items()]
)


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def by_client(table: dict[str, Any]) -> dict[int, Any]:
    return {int(client): value for client, value in table.items()}


def tuples(rows: list[list[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows]


def shard_content(document: Doc[Any]) -> dict[str, dict[str, Any]]:
    return {root: document.get(root, type=Map).to_py() or {} for root in (NODES, EDGES)}


@pytest.mark.parametrize("case", named(VECTORS["accepted"]))
def test_golden_updates_are_read(case: dict[str, Any]) -> None:
    """Each golden update carries what its vector says."""
    parsed = parse(bytes.fromhex(case["hex"]), PROFILES[case["profile"]])

    assert {c: list(r) for c, r in parsed.clients.items()} == by_client(case["clients"])
    assert parsed.needs == by_client(case["needs"])
    assert list(parsed.touched) == tuples(case["touched"])
    assert list(parsed.overwritten) == tuples(case["overwritten"])
    assert parsed.deletes == {
        client: tuples(ranges) for client, ranges in by_client(case["deletes"]).items()
    }
    assert parsed.cuts == set(tuples(case["cuts"]))
    assert parsed.pair_halves == set(tuples(case["pair_halves"]))


@pytest.mark.parametrize("case", named(VECTORS["accepted"]))
def test_golden_updates_that_need_nothing_make_a_document(case: dict[str, Any]) -> None:
    """A golden update fits an empty document exactly if its content is stated."""
    update = bytes.fromhex(case["hex"])
    fits = parse(update, PROFILES[case["profile"]]).fits({})

    assert fits == (case["reads"] is not None)
    if not fits:
        return
    document: Doc[Any] = Doc()
    document.apply_update(update)
    if case["profile"] == "shard":
        assert shard_content(document) == case["reads"]
    else:
        text: Text = document.get("t", type=Text)
        assert str(text) == case["reads"]


@pytest.mark.parametrize("case", named(VECTORS["refused"]))
def test_each_breach_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    """An update that breaks one rule is refused and the error says which."""
    with pytest.raises(MalformedError, match=case["because"]):
        parse(bytes.fromhex(case["hex"]), PROFILES[case["profile"]])


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
@pytest.mark.parametrize("case", named(VECTORS["version_2"] + VECTORS["killers"]))
def test_version_2_and_killers_are_refused(
    case: dict[str, Any], profile: Profile
) -> None:
    """Neither version 2 nor a known killer of the Yjs library is accepted."""
    with pytest.raises(MalformedError):
        parse(bytes.fromhex(case["hex"]), profile)


@given(st.binary(max_size=300), st.sampled_from([SHARD, BODY]))
def test_hostile_bytes_raise_malformed_only(data: bytes, profile: Profile) -> None:
    """Whatever the bytes, parsing returns or raises `MalformedError`."""
    for read in (lambda: parse(data, profile), lambda: decode_state_vector(data)):
        with suppress(MalformedError):
            read()


@pytest.mark.parametrize("case", named(VECTORS["accepted"]))
def test_no_prefix_and_no_extension_is_accepted(case: dict[str, Any]) -> None:
    """An update cut anywhere or followed by anything is refused."""
    update, profile = bytes.fromhex(case["hex"]), PROFILES[case["profile"]]

    for end in range(len(update)):
        with pytest.raises(MalformedError):
            parse(update[:end], profile)
    with pytest.raises(MalformedError, match="bytes follow its end"):
        parse(update + b"\x00", profile)


def test_a_format_holds_numbers_that_a_float_holds() -> None:
    """An integer too large for a float is refused: Yjs could not read it."""
    for digits, is_allowed in (("1" * 309, True), ("2" * 309, False)):
        value = encode_number(len(digits)) + digits.encode()
        update = b"\x01\x01\x07\x00\x06\x01\x01t\x01b" + value + b"\x00"
        if is_allowed:
            parse(update, BODY)
        else:
            with pytest.raises(MalformedError, match="not one JSON scalar"):
                parse(update, BODY)


def test_structs_are_counted_over_all_clients() -> None:
    """The limit on structs holds for their sum, before any is read."""
    update = bytes.fromhex("02 01 07 00 00 01 02 09 00 00 01 00 01 00")

    assert set(parse(update, SHARD, max_structs=3).clients) == {7, 9}
    with pytest.raises(MalformedError, match="more structs than allowed"):
        parse(update, SHARD, max_structs=2)


def test_golden_creations_are_written() -> None:
    """The golden entries are encoded as the golden update."""
    golden = VECTORS["creations"]
    entries = [(root, key, value) for root, key, value in golden["entries"]]

    made = encode_creations(golden["client"], golden["clock"], entries)

    assert made.hex() == golden["hex"]


@given(
    entry_lists,
    st.integers(0, 2**53 - 1),
    st.integers(0, 20),
)
@example([(NODES, "k" * 200, "v" * 20_000)], 2**53 - 1, 0)
def test_creations_are_exactly_their_entries(
    entries: list[tuple[str, str, str]], client: int, split: int
) -> None:
    """Entries written in two updates are all that parser and pycrdt find in them."""
    document: Doc[Any] = Doc()
    clock = 0
    for part in (entries[:split], entries[split:]):
        update = encode_creations(client, clock, part)
        parsed = parse(update, SHARD)
        assert parsed.touched == [(root, key) for root, key, _ in part]
        assert parsed.fits({client: clock})
        clock += len(part)
        assert parsed.clients == ({client: (clock - len(part), clock)} if part else {})
        document.apply_update(update)

    expected: dict[str, dict[str, str]] = {NODES: {}, EDGES: {}}
    for root, key, value in entries:
        expected[root][key] = value
    assert shard_content(document) == expected
    assert decode_state_vector(document.get_state()) == (
        {client: clock} if entries else {}
    )


def test_nothing_created_is_the_empty_update() -> None:
    """No entries make the update that changes nothing."""
    assert encode_creations(7, 0, []) == EMPTY_UPDATE
    assert parse(EMPTY_UPDATE, SHARD).clients == {}


@given(st.integers(0, 2**56 - 1))
@example(127)
@example(128)
@example(1023)
@example(1024)
@example(16_383)
@example(16_384)
def test_numbers_come_back(number: int) -> None:
    """A number of up to 56 bits is read as it was written."""
    encoded = encode_number(number)

    assert read_number(encoded, 0) == (number, len(encoded))


@pytest.mark.parametrize("case", VECTORS["state_vectors"])
def test_golden_state_vectors_are_read(case: dict[str, Any]) -> None:
    """A state vector is a count of clients and a clock for each."""
    assert decode_state_vector(bytes.fromhex(case["hex"])) == by_client(case["clocks"])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "ends early"),
        ("0107", "ends early"),
        ("0000", "bytes follow its end"),
        ("0207010701", "a client comes twice"),
        ("01078080808008", "a clock is too large"),
    ],
)
def test_broken_state_vectors_are_refused(data: str, reason: str) -> None:
    """A state vector that is cut, overlong or contradictory is refused."""
    with pytest.raises(MalformedError, match=reason):
        decode_state_vector(bytes.fromhex(data))


def test_a_device_writes_under_its_own_clients_only() -> None:
    """Structs of a foreign client are forged; deleting foreign structs is allowed."""
    own = parse(bytes.fromhex("01 01 07 00 00 01 01 09 01 00 01"), SHARD)
    foreign = parse(bytes.fromhex("02 01 07 00 00 01 01 09 00 00 01 00"), SHARD)

    check_owner(own, {7})
    check_owner(foreign, {7, 9})
    with pytest.raises(ForgedError, match="another device"):
        check_owner(own, {9})
    with pytest.raises(ForgedError, match="another device"):
        check_owner(foreign, {7})


def test_an_update_that_splits_a_pair_is_recognised() -> None:
    """A cut inside a surrogate pair is seen, one beside it is not."""
    held = parse(bytes.fromhex("01 01 07 00 04 01 01 74 06 61 f09f9880 62 00"), BODY)
    state = {7: 4}
    # The text is a, one pair, b: clocks 0, 1 and 2, 3.
    split = [
        "00 01 07 01 01 01",  # deletes the first half
        "00 01 07 01 02 01",  # deletes the second half
        "01 01 09 00 84 07 01 01 78 00",  # inserts after the first half
        "01 01 09 00 44 07 02 01 78 00",  # inserts before the second half
    ]
    whole = [
        "00 01 07 01 01 02",
        "00 01 07 01 00 04",
        "01 01 09 00 c4 07 00 07 01 01 78 00",
        "01 01 09 00 c4 07 02 07 03 01 78 00",
    ]

    for update in split:
        assert parse(bytes.fromhex(update), BODY).splits_pair(held.pair_halves, state)
    for update in whole:
        parsed = parse(bytes.fromhex(update), BODY)
        assert not parsed.splits_pair(held.pair_halves, state)
    assert held.splits_pair(set(), {7: 2})
    assert not held.splits_pair(set(), {7: 1})
