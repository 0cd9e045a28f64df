"""docs/protocol/discovery.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Final

from transport.address_book import (
    KEPT_MS,
    MAX_HEARSAY,
    MAX_OF_ONE,
    MAX_TOLD,
    Origin,
)
from transport.announcements import (
    MAX_ADDRESSES,
    MAX_NAMEPLATE,
    MAX_TXT_BYTES,
    MAX_TXT_ENTRIES,
    SERVICE_TYPE,
)
from transport.dialing import STAGGER_MS
from transport.discovery import MAX_INSTANCES, MAX_STRANGERS
from transport.tokens import MAX_EPOCHS, SLOT_MS

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "discovery.md").read_text()
VECTORS: Final = json.loads((ROOT / "tests/vectors/discovery.json").read_text())


def test_the_limits_are_those_of_the_code() -> None:
    """Each row of the table of limits has the value that is in force."""
    rows = {
        "entries of a TXT record": MAX_TXT_ENTRIES,
        "bytes of a TXT record": MAX_TXT_BYTES,
        "addresses of an announcement": MAX_ADDRESSES,
        "announcements of one member at a time": MAX_INSTANCES,
        "unknown tokens that are remembered": MAX_STRANGERS,
    }
    for name, value in rows.items():
        assert f"| {name} | {value} |" in PAGE
    assert f"| nameplate | 1 to {MAX_NAMEPLATE:,} |" in PAGE
    assert f"divided by {SLOT_MS:,}" in PAGE
    assert MAX_EPOCHS == 4
    assert "four\nnewest epochs" in PAGE


def test_what_is_kept_of_addresses() -> None:
    """The page tells how long and how many addresses are kept, as it is in force."""
    days = {origin: kept // (24 * 60 * 60 * 1000) for origin, kept in KEPT_MS.items()}
    for name, origin in (("linked", Origin.LINKED), ("known", Origin.KNOWN)):
        row = rf"^\| {name} \|.* \| {days[origin]} days \|$"
        assert re.search(row, PAGE, re.MULTILINE)
    assert re.search(r"^\| hearsay \|.* \| no \| 1 day \|$", PAGE, re.MULTILINE)
    assert days[Origin.HEARSAY] == 1
    told = f"at most {MAX_OF_ONE} are kept, at\nmost {MAX_HEARSAY} of them hearsay"
    assert f"{told}; at most {MAX_TOLD} are told" in PAGE
    assert f"asked {STAGGER_MS} ms after" in PAGE


def test_the_example_is_a_golden_vector() -> None:
    """The service type and the token of the page are the golden ones."""
    first = VECTORS["tokens"][0]

    assert VECTORS["service_type"] == SERVICE_TYPE
    assert f"`{SERVICE_TYPE.removesuffix('.')}.`" in PAGE
    assert f"`{first['device']}` is called `{first['token']}`" in PAGE
