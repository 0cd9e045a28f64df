"""docs/protocol/consensus.md has the numbers and names of the code."""

from pathlib import Path
from typing import Final

import pytest

from consensus.admission import LEAST as ADMITTED
from consensus.contribution import MAX_RECORD_BYTES, SECONDS_OF_AN_EPOCH
from consensus.errors import Fault
from consensus.half_life import HALF
from consensus.published_text import MAX_TEXT_BYTES
from consensus.rule import BASE, CONSENSUS_FROM, LEAST, NAME, OF_A_BRANCH, QUOTA, Preset
from crdt.keys import Domain

PAGE: Final = (
    Path(__file__).parents[3] / "docs" / "protocol" / "consensus.md"
).read_text()
FLAT: Final = " ".join(PAGE.split())


def test_the_page_tells_the_limits() -> None:
    """The numbers of records and of the rule are those of the code."""
    for told in (
        f"at most {MAX_RECORD_BYTES:,} bytes",
        f"1 to {MAX_TEXT_BYTES} bytes of UTF-8",
        f"Unix seconds // {SECONDS_OF_AN_EPOCH:,}",
        f"the {QUOTA} of the largest sequence",
        f"below {ADMITTED:,} basis points",
        f"BASE is {BASE:,}",
        f"with at least {LEAST} counted authors",
        f"of one branch at most {OF_A_BRANCH} do",
        f"`consensus` from {CONSENSUS_FROM}",
        f"at most {len(HALF) - 1}",
        f"`fractality/{NAME}/key`",
        f"`{Domain.CONTRIBUTION.value.rstrip(bytes(1)).decode()}`",
    ):
        assert told in FLAT, told


@pytest.mark.parametrize("fault", Fault)
def test_the_page_names_each_fault(fault: Fault) -> None:
    """Each fault has its row."""
    assert f"\n| `{fault.value}` |" in PAGE


@pytest.mark.parametrize("name", ["byte", "star", "merge", "join"])
def test_the_page_has_the_presets(name: str) -> None:
    """The table has the thresholds of both presets."""
    strict, broad = (getattr(preset.value, name) for preset in Preset)
    title = "preset byte" if name == "byte" else name.upper()

    assert f"| {title} | {strict:,} | {broad:,} |" in PAGE
