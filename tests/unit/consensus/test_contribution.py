"""Records of contributions: one encoding, limits that hold everywhere, signatures."""

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.contribution import (
    MAX_SEQUENCE,
    Contribution,
    contribute,
    decode_contribution,
    next_sequence,
    sign_contribution,
    verify_contribution,
)
from consensus.errors import Fault, InvalidRecordError
from consensus.published_text import is_known
from crdt.errors import ConflictError, ForgedError
from crdt.keys import Domain, SigningKey
from tests.support.contributions import CIRCLE, MODELS, author, reference, say, unsay
from tests.support.contributions import vector as near

KEY = SigningKey(bytes(range(32)))
FIELDS = (
    "version",
    "circle",
    "author",
    "reference",
    "sequence",
    "operation",
    "text",
    "model",
    "vector",
    "epoch",
)
LARGE = bytes([0x81]) + bytes(383)


def encoded(**changed: Any) -> bytes:
    """Return a record with some fields as given."""
    values = (1, CIRCLE, author(1), reference(1), 7, 0, "é", MODELS[0], near(0), 2900)
    fields = dict(zip(FIELDS, values, strict=True)) | changed
    return msgspec.msgpack.encode(list(fields.values()))


def fault_of(record: bytes) -> Fault:
    """Return why a record is refused."""
    with pytest.raises(InvalidRecordError) as refused:
        decode_contribution(record)
    return refused.value.fault


texts = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cc"])).map(
    lambda text: unicodedata.normalize("NFC", text)
)


@given(
    text=texts.filter(lambda text: 1 <= len(text.encode()) <= 280),
    sequence=st.integers(0, MAX_SEQUENCE),
    epoch=st.integers(0, 2**32 - 1),
)
def test_a_record_is_what_was_written(text: str, sequence: int, epoch: int) -> None:
    """What an author publishes is what everybody decodes, from the same bytes."""
    written = contribute(
        CIRCLE,
        author(1),
        reference(1),
        sequence,
        text=text,
        model=MODELS[0],
        vector=near(3),
        epoch=epoch,
    )

    assert decode_contribution(written.encoded) == written
    assert (written.text, written.sequence, written.epoch) == (text, sequence, epoch)
    assert written.encoded == encoded(
        sequence=sequence, text=text, vector=near(3), epoch=epoch
    )


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"version": 2}, Fault.VERSION),
        ({"version": 0}, Fault.FORM),
        ({"circle": bytes(31)}, Fault.FORM),
        ({"author": bytes(33)}, Fault.FORM),
        ({"reference": bytes(15)}, Fault.FORM),
        ({"sequence": -1}, Fault.SEQUENCE),
        ({"sequence": 2.0**64}, Fault.FORM),
        ({"sequence": 1.0}, Fault.FORM),
        ({"operation": 2}, Fault.FORM),
        ({"operation": 1}, Fault.FORM),
        ({"operation": 1, "text": ""}, Fault.FORM),
        ({"operation": 1, "vector": b""}, Fault.FORM),
        ({"text": b"bytes"}, Fault.FORM),
        ({"text": ""}, Fault.TEXT),
        ({"text": "a" * 281}, Fault.TEXT),
        ({"text": "é" * 141}, Fault.TEXT),
        ({"text": "a\nb"}, Fault.TEXT),
        ({"text": "a\x85b"}, Fault.TEXT),
        ({"text": "a\0b"}, Fault.TEXT),
        ({"text": "e\u0301"}, Fault.TEXT),
        ({"text": "\u0378"}, Fault.TEXT),
        ({"text": "\U0010ffff"}, Fault.TEXT),
        ({"text": "a" * 1100}, Fault.SIZE),
        ({"model": bytes(9)}, Fault.MODEL),
        ({"model": b""}, Fault.MODEL),
        ({"vector": near(0)[:-1]}, Fault.VECTOR),
        ({"vector": b""}, Fault.VECTOR),
        ({"vector": bytes(384)}, Fault.VECTOR),
        ({"vector": bytes([126]) + bytes(383)}, Fault.VECTOR),
        ({"vector": bytes([0x80, 127]) + bytes(382)}, Fault.VECTOR),
        ({"epoch": 2**32}, Fault.FORM),
        ({"epoch": None}, Fault.FORM),
        ({"more": 0}, Fault.FORM),
    ],
)
def test_a_record_within_no_limits_is_refused(
    changed: dict[str, Any], fault: Fault
) -> None:
    """Each limit refuses a record by its own name."""
    assert fault_of(encoded(**changed)) is fault


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "a" * 280},
        {"text": "é" * 140},
        {"text": "a\u2028b"},
        {"text": "🙂\U0001fae0"},
        {"vector": LARGE},
        {"sequence": MAX_SEQUENCE},
        {"sequence": 0, "epoch": 2**32 - 1},
        {"operation": 1, "text": "", "vector": b""},
    ],
)
def test_a_record_at_its_limits_is_taken(changed: dict[str, Any]) -> None:
    """What the limits allow is valid."""
    assert decode_contribution(encoded(**changed)).encoded == encoded(**changed)


def test_one_content_has_one_encoding() -> None:
    """A longer way to write a number, a length or a type is no record."""
    record = encoded()
    sequence = record.index(b"\x07\x00\xa2")

    for longer in (
        record[:sequence] + b"\xcc\x07" + record[sequence + 1 :],
        record[: sequence + 2] + b"\xd9\x02" + record[sequence + 3 :],
        b"\xdc\x00\x0a" + record[1:],
    ):
        assert fault_of(longer) is Fault.ENCODING
    assert fault_of(record + b"\0") is Fault.FORM
    assert fault_of(record[:-1]) is Fault.FORM
    assert fault_of(record.replace("é".encode(), b"\xff\xff")) is Fault.UTF8
    # A surrogate is not UTF-8, though some encoders write it.
    assert fault_of(encoded(text="abc").replace(b"abc", b"\xed\xa0\x80")) is Fault.UTF8


@given(st.binary(max_size=2000))
def test_hostile_bytes_are_refused(content: bytes) -> None:
    """Whatever comes is a record or an `InvalidRecordError`."""
    try:
        record = decode_contribution(content)
    except InvalidRecordError:
        return
    assert record.encoded == content


@given(at=st.integers(0, 560), bit=st.integers(0, 7))
def test_a_changed_bit_is_another_record_or_none(at: int, bit: int) -> None:
    """No two encodings have one id, and a signature holds for one only."""
    record = contribution_of(KEY)
    signature = sign_contribution(KEY, record)
    content = bytearray(record.encoded)
    content[at % len(content)] ^= 1 << bit
    try:
        changed = decode_contribution(bytes(content))
    except InvalidRecordError:
        return

    assert changed.id != record.id
    with pytest.raises(ForgedError):
        verify_contribution(changed, signature)


def test_a_signature_is_the_authors_for_this_purpose() -> None:
    """Another key or another domain signs no contribution."""
    record = contribution_of(KEY)

    verify_contribution(record, sign_contribution(KEY, record))
    for forged in (
        sign_contribution(SigningKey(bytes(32)), record),
        KEY.sign(Domain.ENVELOPE, record.encoded),
        bytes(64),
    ):
        with pytest.raises(ForgedError):
            verify_contribution(record, forged)


def test_sequences_end() -> None:
    """The next sequence is one more, and after the last there is none."""
    assert [next_sequence(0), next_sequence(MAX_SEQUENCE - 1)] == [1, MAX_SEQUENCE]
    with pytest.raises(ConflictError):
        next_sequence(MAX_SEQUENCE)


def test_a_refusal_tells_no_text() -> None:
    """An error says which rule is broken and nothing of what was published."""
    with pytest.raises(InvalidRecordError) as refused:
        decode_contribution(encoded(text="a secret\n"))

    assert "secret" not in str(refused.value)


def test_the_characters_are_those_of_unicode_14() -> None:
    """Known is what Unicode 14 assigns; later versions only assign more."""
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            character = chr(code)
            unassigned = unicodedata.category(character) == "Cn"
            if unassigned or unicodedata.unidata_version == "14.0.0":
                assert is_known(character) is not unassigned, hex(code)


def test_a_retraction_is_a_record() -> None:
    """It has neither text nor vector, and does not take part."""
    assert not unsay(1, 1).is_live
    assert say(1, 1, near(0)).is_live


def contribution_of(key: SigningKey) -> Contribution:
    """Return a record by the owner of a key."""
    return decode_contribution(encoded(author=key.public_key))
