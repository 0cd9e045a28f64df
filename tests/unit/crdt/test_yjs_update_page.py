"""docs/protocol/yjs-update.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Final

import crdt.yjs_bytes
import crdt.yjs_update
from crdt.yjs_profile import BODY, SHARD

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "yjs-update.md").read_text()
VECTORS: Final = json.loads((ROOT / "tests/vectors/yjs_update.json").read_text())


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_limits_are_those_of_the_code() -> None:
    """The table lists each limit of the format with its value, no more, no fewer."""
    limits = {
        name: value
        for module in (crdt.yjs_bytes, crdt.yjs_update)
        for name, value in vars(module).items()
        if name.startswith("MAX_")
    }

    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value) for name, value in rows} == limits


def test_the_contents_are_those_of_the_profiles() -> None:
    """The table lists the roots and kinds of content that each document holds."""
    rows = re.findall(
        r"^\| (shard|body) \| (.+?) \| (yes|no) \| (\d+) \|",
        section("Grammar"),
        re.MULTILINE,
    )

    assert {
        (name, frozenset(re.findall(r"`(\w)`", roots)), keys == "yes", int(kind))
        for name, roots, keys, kind in rows
    } == {
        (name, frozenset(profile.parents.values()), profile.is_map, kind)
        for name, profile in (("shard", SHARD), ("body", BODY))
        for kind in profile.contents
    }


def test_the_example_is_a_golden_update() -> None:
    """The bytes of the example are those of the vector that it describes."""
    lines = section("Example").split("```")[1].strip().splitlines()
    shown = "".join(
        re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}(?=  )", line)[0]  # type: ignore[index]  # a line that is no hex fails the test
        for line in lines
    ).replace(" ", "")

    (golden,) = (
        case["hex"]
        for case in VECTORS["accepted"]
        if case["name"] == "overwrite of another client's entry"
    )
    assert shown == golden
