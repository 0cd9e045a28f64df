"""docs/protocol/shard.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from crdt import energy, ids, json_text, schema
from crdt.ids import NodeKey, edge_id
from crdt.records import Edge, Node
from crdt.schema import edge_changes, fold_edge, fold_node, node_changes
from crdt.yjs_profile import EDGES, NODES

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "shard.md").read_text()
VECTOR: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/shard.json").read_text()
)
NODE: Final = Node(NodeKey("a"), "l", "t", {"NAME": 1}, "w", 1, 1, 1)
EDGE: Final = Edge(
    edge_id(NODE.key, "t", NODE.key), NODE.key, NODE.key, "t", 1, {}, 1, 1
)


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(title: str) -> list[str]:
    """Return the preformatted blocks below a heading."""
    return [each.strip("\n") for each in section(title).split("```")[1::2]]


def test_the_limits_are_those_of_the_code() -> None:
    """The table lists each limit of these modules with its value, no more, no fewer."""
    limits = {
        name: int(value)
        for module in (ids, schema, json_text, energy)
        for name, value in vars(module).items()
        if name.startswith("MAX_")
    }

    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value) for name, value in rows} == {
        "SHARD_COUNT": ids.SHARD_COUNT,
        **limits,
    }


def test_the_suffixes_are_those_that_changes_write() -> None:
    """The table lists every suffix that a change of all fields writes."""
    node = Node(NODE.key, "L", "T", {"NAME": 2}, "W", 1, 2, 2, deleted_ms=2)
    edge = msgspec.structs.replace(
        EDGE, weight=2.0, metadata={"NAME": 1}, version=2, is_deleted=True
    )

    rows = re.findall(r"^\| `([ne])` \| `(\S+)` \|", section("Grammar"), re.MULTILINE)

    assert set(rows) == {
        *((NODES, suffix) for suffix in node_changes(NODE, node)),
        *((EDGES, suffix) for suffix in edge_changes(EDGE, edge, 2)),
    }


def test_a_base_may_end_early() -> None:
    """What a base lacks at its end is what the page says."""
    node = fold_node(NODE.key, {"@00000001": '[1,"l"]'})
    edge = fold_edge(NODE.key, edge_id(NODE.key, "child", NODE.key), {"": '[1,"a"]'})

    assert node is not None
    assert edge is not None
    told = re.findall(r"`(\w+)`", section("Grammar").split("may be missing:")[1])[:7]
    assert told == [
        "type",
        node.type,
        edge.type,
        "network",
        node.network,
        "weight",
        "metadata",
    ]
    assert (edge.weight, node.metadata, edge.metadata) == (1, {}, {})


def test_what_comes_later_is_passed_over() -> None:
    """A reader ignores unknown suffixes and further elements, as the page promises."""
    entries = {"@00000001": '[1,"l","t","w",{"NAME":1},"later"]', "?": '[1,1,"x"]'}

    assert fold_node(NODE.key, entries) == NODE


def test_the_constants_of_energy_are_told() -> None:
    """Landmark and half-life stand on the page."""
    told = re.findall(r"`(T0|H)` = (\d+)", section("Energy"))

    assert dict(told) == {
        "T0": str(energy.LANDMARK_MS),
        "H": str(energy.HALF_LIFE_MS),
    }


def test_the_example_is_the_golden_shard() -> None:
    """The entries shown are all of the shard's, each in its map with its value."""
    entries = VECTOR["entries"]["3284"]

    shown = [line.split(maxsplit=2) for line in blocks("Example")[1].splitlines()]

    assert sorted(
        (root, key.replace("␟", "\x1f"), value) for root, key, value in shown
    ) == sorted(
        (root, key, value) for root in entries for key, value in entries[root].items()
    )


def test_the_update_shown_is_golden() -> None:
    """The bytes of the example are those of the vector."""
    lines = blocks("Example")[2].splitlines()
    shown = "".join(
        re.findall(r"^((?:[0-9a-f]{2} ?)+)(?:  |$)", "\n".join(lines), re.MULTILINE)
    )

    golden = VECTOR["steps"][4]["changes"][1]["update"]

    assert shown.replace(" ", "") == golden
