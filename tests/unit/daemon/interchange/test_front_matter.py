"""Front matter keeps what a person wrote, and cannot blow up."""

from typing import Any

import pytest
from hypothesis import given

from crdt.errors import InvalidError
from daemon.interchange.markdown import front_matter
from tests.support.exported_graphs import metadatas


@given(metadatas)
def test_what_is_encoded_decodes_to_the_same(metadata: dict[str, Any]) -> None:
    """Every value that is plain comes back, of the same type."""
    text = f"---\n{front_matter.encode(metadata)}---\nbody"

    front, body = front_matter.split(text)

    assert front is not None
    assert repr(metadata) == repr(front_matter.decode(front))
    assert body == "body"


@pytest.mark.parametrize(
    ("text", "front", "body"),
    [
        ("---\na: 1\n---\nbody", "a: 1\n", "body"),
        ("\ufeff---\r\na: 1\r\n---\r\n\r\nbody", "a: 1\r\n", "\r\nbody"),
        ("---\n---", "", ""),
        ("---\na: 1\n", None, "---\na: 1\n"),
        (" ---\na: 1\n---\n", None, " ---\na: 1\n---\n"),
        ("----\na: 1\n---\n", None, "----\na: 1\n---\n"),
        ("---\na\n--- b\n---\nc", "a\n--- b\n", "c"),
    ],
)
def test_the_body_starts_right_after_the_fence(
    text: str, front: str | None, body: str
) -> None:
    """Not a byte of the body is changed, and what is no front matter is body."""
    assert (front, body) == front_matter.split(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("a: 2024-01-02\nb: 12:30\nc: 010\nd: yes\ne: .nan", {
            "a": "2024-01-02", "b": "12:30", "c": "010", "d": "yes", "e": ".nan"}),
        ("a: 1\nb: -1.5e3\nc: true\nd: ~\ne:", {
            "a": 1, "b": -1500.0, "c": True, "d": None, "e": None}),
        ("a: '1'\nb: \"true\"\n1: x\nnull: y", {
            "a": "1", "b": "true", "1": "x", "null": "y"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: !!python/object:os.system x", {"a": "x"}),
        ("a: 123456789012345678901234567890", {"a": "123456789012345678901234567890"}),
    ],
)  # fmt: skip
def test_values_are_what_the_person_wrote(text: str, fields: dict[str, Any]) -> None:
    """JSON's numbers and words are values; everything else stays text."""
    assert fields == front_matter.decode(text)


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("a: [", "not valid YAML"),
        ("just text", "not a list of fields"),
        ("a: 1\na: 2", "names a field twice"),
        ("[a]: 1", "name of a field is not text"),
        ("a: 1\n--- \nb: 1", "more than one document"),
        ("a: *b", "does not define"),
        ("a: &a [*a]", "does not define"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        (BOMB, "too many values"),
    ],
)
def test_what_cannot_be_fields_is_refused(text: str, detail: str) -> None:
    """Broken, nested and exploding front matter is refused at once."""
    with pytest.raises(InvalidError, match=detail):
        front_matter.decode(text)


def test_what_yaml_cannot_hold_exactly_is_not_plain() -> None:
    """Deep values and huge integers need another way."""
    deep: Any = 1
    for _ in range(20):
        deep = [deep]

    assert not front_matter.is_plain({"a": deep})
    assert not front_matter.is_plain({"a": [2**64]})
    assert front_matter.is_plain({"a": [2**64 - 1, None, 1.5]})
