"""docs/protocol/circle-items.md and its golden cases say what the code does."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from crdt.circle_items import ItemKind, ItemName
from crdt.circle_standing import Placed, Standing
from crdt.ids import AuthorKey
from daemon.circles.forms import FORMS
from daemon.circles.refusals import Refusal

ROOT: Final = Path(__file__).parents[4]
PAGE: Final = (ROOT / "docs" / "protocol" / "circle-items.md").read_text()
CASES: Final[list[dict[str, Any]]] = json.loads(
    (ROOT / "tests" / "vectors" / "circle_items.json").read_text()
)


def placed(record: dict[str, Any]) -> Placed:
    """Return a record of a case."""
    return Placed(
        AuthorKey(bytes.fromhex(record["author"])),
        bytes.fromhex(record["slot"]),
        record["sequence"],
        ItemName(record["epoch"], bytes.fromhex(record["id"])),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_golden_records_stand(case: dict[str, Any]) -> None:
    """Of these records these names stand, in this order, with this sum."""
    standing = Standing(case["kept"])
    for record in case["records"]:
        standing.carry_out(standing.plan([placed(record)]))
    names = [[name.epoch, name.id.hex()] for name in standing.names()]
    assert names == case["names"]
    assert f"{standing.sum.total:064x}" == case["sum"]
    assert standing.sum.count == len(names)
    assert standing.sum.fingerprint.hex() == case["fingerprint"]


def test_the_page_tells_every_reason() -> None:
    """Each reason stands in the page, and no other does."""
    section = PAGE.split("\n## What is taken\n")[1]
    told = set(re.findall(r"`([a-z0-9_]+)`", section))
    assert told - {"fractality_circle_refused_total"} == set(Refusal)


def test_the_page_tells_how_much_is_kept() -> None:
    """The numbers of the table are the code's."""
    rows = re.findall(r"^\| (\d) \|.*\| ([\d,]+) \|$", PAGE, re.MULTILINE)
    told = {ItemKind(int(kind)): int(kept.replace(",", "")) for kind, kept in rows}
    assert told == {kind: form.of_an_author for kind, form in FORMS.items()}
    refills = {form.refill_ms for form in FORMS.values()}
    assert refills == {2_000, 10_000}
