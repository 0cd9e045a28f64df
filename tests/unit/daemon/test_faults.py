"""What a typed decoder finds wrong is told by the field at fault."""

from typing import Annotated, Any

import msgspec
import pytest

from crdt.errors import InvalidError
from daemon.faults import NotJsonError, decoding_fault, places


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A struct within another."""

    count: int = 0


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    """What is decoded."""

    name: Annotated[str, msgspec.Meta(max_length=3)]
    inner: Inner | None = None
    many: list[Inner] = []
    source: str = msgspec.field(name="from", default="")
    named: dict[str, int] = {}


@pytest.mark.parametrize(
    ("content", "field", "detail"),
    [
        (b"{}", "name", "missing required field `name`"),
        (b'{"name":1}', "name", "Expected `str`, got `int`"),
        (b'{"name":"long"}', "name", "length <= 3"),
        (b'{"name":"a","colour":1}', "colour", "unknown field `colour`"),
        (b'{"name":"a","from":1}', "from", "Expected `str`"),
        (b'{"name":"a","inner":{"count":"1"}}', "inner.count", "Expected `int`"),
        (b'{"name":"a","many":[{},{"count":"1"}]}', "many[1].count", "Expected"),
        (b'{"name":"a","named":{"x":"y"}}', "named[...]", "Expected `int`"),
        (b"[]", "document", "Expected `object`, got `array`"),
        (b"null", "document", "Expected `object`, got `null`"),
    ],
)
def test_the_field_at_fault_is_named(content: bytes, field: str, detail: str) -> None:
    """A value against the schema is an invalid field, told without its place twice."""
    fault = fault_of(content)

    assert isinstance(fault, InvalidError)
    assert fault.field == field
    assert detail in fault.detail
    assert "$" not in str(fault)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"name":"a"} x', b"\xff", b'{"name":"\xff"}', b'{"name":"\\ud800"}'],
)
def test_what_is_no_json_is_told(content: bytes) -> None:
    """Bytes that do not decode have no field; what they held is not repeated."""
    assert isinstance(fault_of(content), NotJsonError)


def test_deep_nesting_is_no_json() -> None:
    """What nests deeper than the decoder goes is refused as such."""
    with pytest.raises(RecursionError) as caught:
        msgspec.json.decode(b"[" * 100_000)

    assert isinstance(decoding_fault(caught.value), NotJsonError)


def test_places_tell_where_and_not_what() -> None:
    """A bug is logged by its kind and its lines of code, without its text."""
    written = "".join(("what a ", "person wrote"))
    with pytest.raises(ValueError, match=written) as caught:
        int(written)

    text = places(caught.value)
    assert "ValueError" in text
    assert "test_faults.py" in text
    assert written not in text


def fault_of(content: bytes) -> Any:
    """Decode what does not decode; return the fault."""
    with pytest.raises((msgspec.MsgspecError, UnicodeError)) as caught:
        msgspec.json.decode(content, type=Outer)
    return decoding_fault(caught.value)
