"""The rule as a function of a set: equal to a slow twin, and to golden results."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.contribution import Contribution
from consensus.invitations import InviteTree
from consensus.rc1 import consensus
from consensus.result import Result, Status
from consensus.rule import Preset
from consensus.verify import verify
from tests.support.contributions import (
    CIRCLE,
    MODELS,
    Crowd,
    author,
    between,
    crowds,
    everybody,
    random_members,
    random_records,
    say,
    scattered,
    tree_of,
    turned,
    unsay,
    vector,
)
from tests.support.slow_consensus import slow_consensus

ROOT: Final = Path(__file__).parents[3]
VECTORS: Final = ROOT / "tests" / "vectors" / "rc1.json"
GOLDEN: Final[dict[str, dict[str, Any]]] = json.loads(VECTORS.read_text())
PROGRAM: Final = Path(sys.prefix, "bin", "fractality")
FOUNDERS: Final = InviteTree({})
presets = st.sampled_from(Preset)
seeds = st.integers(0, 2**32)


def of(records: list[Contribution], preset: Preset = Preset.STRICT) -> Result:
    """Return the consensus of founders."""
    return consensus(CIRCLE, preset, FOUNDERS, records)


def lines(case: dict[str, Any]) -> list[bytes]:
    """Return a golden case as `fractality verify` reads it."""
    return [json.dumps(line).encode() for line in case["lines"]]


@given(seed=seeds, crowd=crowds, count=st.integers(0, 45), preset=presets)
def test_the_slow_twin_agrees(
    seed: int, crowd: Crowd, count: int, preset: Preset
) -> None:
    """Arrays give what plain integers give: nodes, labels, scores, hash."""
    records = random_records(seed, count, crowd)
    members = random_members(seed, crowd)
    file = [{"record": each.encoded.hex()} for each in records] + [
        {
            "member": member.hex(),
            "inviter": inviter and inviter.hex(),
            "vouched": vouched,
        }
        for member, (inviter, vouched) in members.items()
    ]

    found = verify((json.dumps(line).encode() for line in file), preset)

    assert found == slow_consensus(preset.name.lower(), members, records)


@given(seed=seeds, crowd=crowds, count=st.integers(0, 60), preset=presets)
def test_no_order_shows(seed: int, crowd: Crowd, count: int, preset: Preset) -> None:
    """Records in another order, some of them twice, give the same result."""
    records = random_records(seed, count, crowd)
    again = records + records[: count // 3]
    random.Random(seed).shuffle(again)

    assert of(again, preset) == of(records, preset)


@pytest.mark.parametrize("name", GOLDEN)
def test_results_are_the_golden_ones(name: str) -> None:
    """Each golden case has its nodes and its hash."""
    case = GOLDEN[name]

    found = verify(lines(case), Preset[case["preset"].upper()])

    assert found == {"nodes": case["nodes"], "result_hash": case["result_hash"]}


def test_fresh_processes_agree(tmp_path: Path) -> None:
    """Neither the process, nor its hash seed, threads or order of lines show."""
    dice = random.Random(8)
    case = GOLDEN["a crowd"]
    for seed, threads in (("0", "1"), ("1", "2"), ("4242", "2")):
        shuffled = lines(case)
        dice.shuffle(shuffled)
        file = tmp_path / "records.jsonl"
        file.write_bytes(b"\n".join(shuffled))
        ran = subprocess.run(
            [PROGRAM, "verify", file, "--preset", case["preset"]],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert json.loads(ran.stdout)["result_hash"] == case["result_hash"]


def test_three_people_are_emerging_and_four_consensus() -> None:
    """A node begins with three voices; with four it is more than emerging."""
    counts = [len(of(everybody(1, range(people))).nodes) for people in range(5)]
    three, four = (of(everybody(1, range(people))).nodes[0] for people in (3, 4))

    assert counts == [0, 0, 0, 1, 1]
    assert (three.status, four.status) == (Status.EMERGING, Status.CONSENSUS)
    assert len(four.members) == four.counted_authors == 4
    assert three.key != four.key or three.members != four.members


def test_one_person_makes_no_node() -> None:
    """However many copies one or two people publish, nothing comes of it."""
    copies = [
        say(who, f"{who} {number}", vector(0, [number % 50]))
        for who in range(2)
        for number in range(100)
    ]

    assert of(copies).nodes == ()
    assert len(of([*copies, say(2, 0, vector(0))]).nodes) == 1


def test_one_branch_makes_no_node() -> None:
    """Any number of puppets below one member count as two; two branches suffice."""
    puppets = list(range(1, 40))
    members = {author(1): (author(0), False)} | {
        author(each): (author(random.Random(each).randrange(1, each)), False)
        for each in puppets[1:]
    }
    records = everybody(1, puppets)

    alone = consensus(CIRCLE, Preset.STRICT, tree_of(members), records)
    joined = consensus(
        CIRCLE, Preset.STRICT, tree_of(members), [*records, say(0, 0, vector(0))]
    )

    assert alone.nodes == ()
    assert [node.counted_authors for node in joined.nodes] == [3]
    assert [node.contributor_count for node in joined.nodes] == [40]


def test_models_never_compare() -> None:
    """Records of two models make nodes of their own, with keys of their own."""
    records = [
        say(who, model, vector(0), model=model) for model in MODELS for who in range(3)
    ]
    mixed = [*records[:2], *records[3:5]]

    nodes = of(records).nodes

    assert sorted(node.model for node in nodes) == sorted(MODELS)
    assert len({node.key for node in nodes}) == 2
    assert of(mixed).nodes == ()


def test_circle_and_preset_are_in_the_key() -> None:
    """The same thoughts have another key in another circle or under another preset."""
    other = bytes(32)
    records = [say(who, 0, vector(0)) for who in range(3)]
    elsewhere = [say(who, 0, vector(0), circle=other) for who in range(3)]
    keys = {
        of(records).nodes[0].key,
        of(records, Preset.BROAD).nodes[0].key,
        consensus(other, Preset.STRICT, FOUNDERS, elsewhere).nodes[0].key,
    }

    assert len(keys) == 3


def test_age_weighs_by_the_sets_own_clock() -> None:
    """What grows old together stays as strong; one from the future moves nothing."""
    young = [say(who, 0, vector(0, [60 * who]), epoch=2900 + who) for who in range(4)]
    old = [say(who, 0, vector(0, [60 * who]), epoch=100 + who) for who in range(4)]
    future = say("seer", "far", vector(3), epoch=2**32 - 1)

    assert of(young).nodes[0].score == of(old).nodes[0].score
    assert (
        of([*young, future]).nodes[0].score
        == of([*young, say("seer", "far", vector(3), epoch=2903)]).nodes[0].score
    )


def test_between_equal_groups_the_earlier_has_it() -> None:
    """What is as close to two groups joins the one that comes first."""
    groups = [say(who, at, turned(at)) for at in (0, 90) for who in range(4)]
    for number in range(8):
        middle = say(0, f"middle {number}", turned(45))
        records = [*groups, middle]

        found = of(records)

        assert sorted(len(node.members) for node in found.nodes) == [4, 5]
        assert found.hash.hex() == slow_consensus("strict", {}, records)["result_hash"]


@pytest.mark.parametrize(
    ("seed", "noise", "degrees"),
    [(3, 0.3, 20), (5, 0.4, 20), (6, 0.4, 25)],
)
def test_the_larger_star_takes_in_the_others(
    seed: int, noise: float, degrees: int
) -> None:
    """Where stars merge is decided by how many they are, and only then by rank."""
    dice = random.Random(seed)
    records = [
        say(who, 0, scattered(dice, degrees * (who % 5), noise)) for who in range(30)
    ]

    found = of(records)

    assert found.hash.hex() == slow_consensus("strict", {}, records)["result_hash"]


def test_a_retraction_takes_back() -> None:
    """After it all is as if the record had never been; an older record stays gone."""
    records = everybody(2, range(4))

    taken = of([*records, unsay(0, 0), records[0]])

    assert taken == of([each for each in records if each.id != records[0].id])
    assert taken != of(records)


def test_of_an_author_500_take_part() -> None:
    """The newest do, of equal ones the smaller ids; the rest has no influence."""
    many = [
        say("busy", number, between(0, 1, number % 100), sequence=1 + number // 200)
        for number in range(700)
    ]
    others = everybody(2, range(3))
    newest = sorted(many, key=lambda each: (-each.sequence, each.id))

    found = of([*many, *others])

    assert found == of([*newest[:500], *others])
    assert sum(len(node.members) for node in found.nodes) == 506
