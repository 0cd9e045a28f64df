"""Names in order: any run has the fingerprint of its names, however they came."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.circle_items import ItemName
from transport.circle_frames import KEY_BYTES
from transport.sorted_names import (
    SortedNames,
    fingerprint,
    key_of,
    name_of,
)

NAMES = st.builds(
    ItemName,
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32) | st.just(b"\xff" * 32),
)


@given(st.sets(NAMES, max_size=30), st.data())
def test_a_run_has_the_fingerprint_of_its_names(
    names: set[ItemName], data: st.DataObject
) -> None:
    """The sum of ids, modulo 2^256, and their number, wherever a run begins."""
    ordered = sorted(names)
    start = data.draw(st.integers(0, len(ordered)))
    end = data.draw(st.integers(start, len(ordered)))
    total = sum(int.from_bytes(each.id) for each in ordered[start:end]) % 2**256

    found = SortedNames.of(names)

    assert [name_of(key) for key in found.keys] == ordered
    assert found.fingerprint(start, end) == fingerprint(total, end - start)
    assert found.first_from(b"") == 0
    assert found.first_from(b"\xff" * (KEY_BYTES + 1)) == len(ordered)


def test_a_key_keeps_the_order_of_names() -> None:
    """Epochs are compared before ids, as numbers."""
    old, new = ItemName(255, b"\xff" * 32), ItemName(256, bytes(32))

    assert old < new
    assert key_of(old) < key_of(new)
