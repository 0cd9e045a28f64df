"""What a person may put into a graph."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdt.checks import (
    check_body,
    check_energy,
    check_label,
    check_metadata,
    check_name,
    check_time,
    check_version,
    checked_accumulators,
    checked_weight,
    format_accumulator,
)
from crdt.energy import HALF_LIFE
from crdt.errors import InvalidError
from crdt.ids import (
    MAX_BODY_BYTES,
    MAX_KEY_BYTES,
    MAX_LABEL_BYTES,
    MAX_METADATA_BYTES,
    MAX_TYPE_BYTES,
    format_id,
)
from crdt.json_text import MAX_NESTING, is_shallow
from crdt.schema import MAX_TIME_MS, MAX_VERSION
from tests.support.histories import json_values
from tests.support.replicas import identity

NO_UNICODE = "\ud800"


def nested(depth: int, inner: str = "[]{}") -> Any:
    value: Any = inner
    for level in range(depth):
        value = {inner: value} if level % 2 else [value]
    return value


def test_text_is_measured_in_bytes() -> None:
    """A text fits up to its limit in UTF-8 and not one byte further."""
    check_label("é" * (MAX_LABEL_BYTES // 2))
    check_name("type", "t" * MAX_TYPE_BYTES)
    check_body("b" * MAX_BODY_BYTES)
    with pytest.raises(InvalidError, match="label"):
        check_label("é" * (MAX_LABEL_BYTES // 2) + "e")
    with pytest.raises(InvalidError, match="type"):
        check_name("type", "t" * MAX_TYPE_BYTES + "t")
    with pytest.raises(InvalidError, match="body"):
        check_body("b" * MAX_BODY_BYTES + "b")


def test_text_is_unicode() -> None:
    """Half a surrogate pair is refused wherever it stands, however short the text."""
    with pytest.raises(InvalidError):
        check_label(NO_UNICODE)
    with pytest.raises(InvalidError):
        check_name("type", NO_UNICODE)
    with pytest.raises(InvalidError):
        check_body(NO_UNICODE)
    for metadata in ({NO_UNICODE: 1}, {"a": [NO_UNICODE]}):
        with pytest.raises(InvalidError):
            check_metadata(metadata)


def test_names_are_lines() -> None:
    """Types and the names of metadata are not empty and hold no control characters."""
    for name in ("", "a\x1fb", "a\nb", "\u2028"):
        with pytest.raises(InvalidError):
            check_name("type", name)
        with pytest.raises(InvalidError):
            check_metadata({name: 1})
    with pytest.raises(InvalidError):
        check_label("")
    check_label("a label\nmay have lines")


def test_metadata_is_bounded() -> None:
    """Metadata is refused when it is large, nests deep, or is not JSON at all."""
    fits = {"a": "x" * (MAX_METADATA_BYTES - len('{"a":""}'))}
    check_metadata(fits)
    check_metadata({"n" * MAX_KEY_BYTES: 1})
    check_metadata({"a": nested(MAX_NESTING - 1)})
    for metadata in (
        {"a": fits["a"] + "x"},
        {"n" * (MAX_KEY_BYTES + 1): 1},
        {"a": nested(MAX_NESTING)},
        {"a": nested(100_000)},
        {"a": 10**5000},
    ):
        with pytest.raises(InvalidError, match="metadata"):
            check_metadata(metadata)


@given(st.dictionaries(st.sampled_from(("a", "b")), json_values))
def test_small_metadata_is_accepted(metadata: dict[str, Any]) -> None:
    """Whatever is small, shallow JSON passes."""
    check_metadata(metadata)


@given(st.integers(0, 2 * MAX_NESTING), st.sampled_from(('"', "[{", '\\"[', '\\\\"[')))
@example(MAX_NESTING, "[" * 200)
def test_brackets_in_strings_do_not_nest(depth: int, text: str) -> None:
    """Depth is counted over arrays and objects alone."""
    encoded = msgspec.json.encode(nested(depth, text * 100)).decode()

    assert is_shallow(encoded) == (depth <= MAX_NESTING)


@given(st.text('[]{}"\\', max_size=400))
def test_any_text_has_a_depth(text: str) -> None:
    """Text that is no JSON is measured without error and in linear time."""
    assert is_shallow(text) in (True, False)
    assert is_shallow('"' + '\\"' * 200_000 + "[" * 100) is True


def test_numbers_keep_to_their_ranges() -> None:
    """Each number is accepted up to both ends of its range and not beyond."""
    for good in (0, 1e6):
        check_energy(good)
    for bad in (-1e-9, 1e6 + 1, float("nan"), float("inf")):
        with pytest.raises(InvalidError, match="energy"):
            check_energy(bad)
    assert checked_weight(-1e308) == -1e308
    assert str(checked_weight(-0.0)) == "0.0"
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(InvalidError, match="weight"):
            checked_weight(bad)
    for good in (0, MAX_TIME_MS):
        check_time("created_at", good)
    for bad in (-1, MAX_TIME_MS + 1):
        with pytest.raises(InvalidError, match="created_at"):
            check_time("created_at", bad)
    for good in (1, MAX_VERSION - 1):
        check_version(good)
    for bad in (0, MAX_VERSION):
        with pytest.raises(InvalidError, match="version"):
            check_version(bad)


def test_accumulators_name_devices() -> None:
    """Landmarks keep to their limits, and their devices are ids."""
    device = identity(1).device

    named = {format_id(device): 1e6, format_accumulator(device, 24): 2.0}
    assert checked_accumulators(named) == {(device, HALF_LIFE): 1e6, (device, 24): 2.0}
    for accumulators in (
        {format_id(device): 1.1e6},
        {format_id(device): float("nan")},
        {format_id(device).upper(): 1.0},
        {"": 1.0},
        {f"{format_id(device)}@0": 1.0},
        {f"{format_id(device)}@87601": 1.0},
        {f"{format_id(device)}@x": 1.0},
    ):
        with pytest.raises(InvalidError):
            checked_accumulators(accumulators)
