"""Payloads: compression, padding, limits."""

import json
import math
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.energy import HALF_LIFE, MAX_HALF_LIFE
from crdt.errors import InvalidError, MalformedError
from crdt.ids import DeviceId, NodeKey, ShardNumber
from crdt.payload import (
    MAX_ACCUMULATORS,
    MAX_CHANGES,
    MAX_PAYLOAD_BYTES,
    BodyChange,
    Change,
    EnergyChange,
    ShardChange,
    decode_payload,
    encode_payload,
    energy_change,
    padded_size,
)
from tests.support.changes import changes

DEVICE = DeviceId(bytes(16))
VALID = msgspec.msgpack.encode([[0, 1, b""]])


def raw(body: bytes, marker: int = 0) -> bytes:
    """Return a well padded payload with any body."""
    content = bytes([marker]) + len(body).to_bytes(4) + body
    return content.ljust(padded_size(len(content)), b"\0")


@given(st.lists(changes, min_size=1, max_size=8).map(tuple))
def test_a_payload_gives_its_changes_back(sent: tuple[Change, ...]) -> None:
    """What is encoded decodes to the same changes in the same order."""
    assert decode_payload(encode_payload(sent)) == sent


@given(st.binary(max_size=300))
def test_hostile_payloads_are_malformed(data: bytes) -> None:
    """Any bytes, bare or behind a valid frame of either kind, raise only that."""
    for payload in (data, raw(data), raw(zlib.compress(data), 1), raw(data, 2)):
        try:
            decoded = decode_payload(payload)
        except MalformedError:
            continue
        assert decode_payload(encode_payload(decoded)) == decoded


@given(st.data())
def test_a_mutated_payload_is_malformed_or_valid(data: st.DataObject) -> None:
    """A changed byte inside a valid body never raises anything but `MalformedError`."""
    sent = tuple(data.draw(st.lists(changes, min_size=1, max_size=3)))
    body = bytearray(msgspec.msgpack.encode(sent))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_payload(raw(bytes(body)))
    except MalformedError:
        return
    assert decoded


@given(st.integers(5, 2**23))
def test_padding_hides_the_size_cheaply(size: int) -> None:
    """Padding never shrinks, costs at most 12 %, and is stable."""
    padded = padded_size(size)

    assert size <= padded <= size * 1.12
    assert padded_size(padded) == padded


def test_few_sizes_are_left_to_tell_apart() -> None:
    """Of 100,000 lengths a watcher can tell fewer than 200."""
    assert len({padded_size(size) for size in range(5, 100_005)}) < 200


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0\0",
        encode_payload((ShardChange(ShardNumber(1), b"x"),)) + b"\0",
        encode_payload((ShardChange(ShardNumber(1), b"xyzxyz"),))[:-1] + b"\1",
        raw(msgspec.msgpack.encode([])),
        raw(msgspec.msgpack.encode([[0, 4096, b""]])),
        raw(msgspec.msgpack.encode([[0, -1, b""]])),
        raw(msgspec.msgpack.encode([[0, 1, "text"]])),
        raw(msgspec.msgpack.encode([[0, 1, b"", 1]])),
        raw(msgspec.msgpack.encode([[3, 1, b""]])),
        raw(msgspec.msgpack.encode([[1, "", b""]])),
        raw(msgspec.msgpack.encode([[1, "a\nb", b""]])),
        raw(msgspec.msgpack.encode([[1, "x" * 256, b""]])),
        raw(msgspec.msgpack.encode([[2, bytes(15), []]])),
        raw(msgspec.msgpack.encode([[2, bytes(16), [["\x1f", 1.0]]]])),
        raw(msgspec.msgpack.encode([[2, bytes(16), [["oak", math.nan]]]])),
        raw(msgspec.msgpack.encode([[2, bytes(16), [["oak", math.inf]]]])),
        raw(msgspec.msgpack.encode([[2, bytes(16), [["oak", -math.inf]]]])),
        raw(b"\x91\x93\x01\xa1\xff\xc4\x00"),
        raw(b"not zlib", 1),
        raw(VALID, 2),
        raw(zlib.compress(VALID)[:-1], 1),
        raw(zlib.compress(VALID) + b"tail", 1),
    ],
)
def test_malformed_payloads(payload: bytes) -> None:
    """Each rule of the page has a case that breaks only that rule."""
    with pytest.raises(MalformedError):
        decode_payload(payload)


def test_a_bomb_is_refused_within_bounds() -> None:
    """A small payload that inflates to a gigabyte costs a few times the limit."""
    compressor = zlib.compressobj(9)
    megabyte = bytes(2**20)
    bomb = b"".join(compressor.compress(megabyte) for _ in range(256))
    payload = raw(bomb + compressor.flush(), 1)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError, match="larger than allowed"):
            decode_payload(payload)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PAYLOAD_BYTES
    finally:
        tracemalloc.stop()


def test_counts_are_refused_before_memory_is_spent() -> None:
    """A list that is too long is refused by its count, not after it was built."""
    count = MAX_PAYLOAD_BYTES // 5 - 2
    tiny = msgspec.msgpack.encode([0, 0, b""])
    many = raw(b"\xdd" + count.to_bytes(4) + tiny * count)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            decode_payload(many)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_PAYLOAD_BYTES
    finally:
        tracemalloc.stop()


def test_limits_hold_for_the_sender_too() -> None:
    """Nobody can seal what nobody would open; the limits themselves are allowed."""
    shard = ShardNumber(1)
    tiny, entry = ShardChange(shard, b""), (NodeKey("oak"), 1.0)
    largest = ShardChange(shard, bytes(MAX_PAYLOAD_BYTES - 9))

    for sent in (
        (largest,),
        (tiny,) * MAX_CHANGES,
        (EnergyChange(DEVICE, (entry,) * MAX_ACCUMULATORS),),
    ):
        assert decode_payload(encode_payload(sent)) == sent
    for refused in (
        (),
        (tiny,) * (MAX_CHANGES + 1),
        (ShardChange(shard, bytes(MAX_PAYLOAD_BYTES - 8)),),
        (EnergyChange(DEVICE, (entry,) * (MAX_ACCUMULATORS + 1)),),
        (BodyChange(NodeKey(""), b""),),
    ):
        with pytest.raises(InvalidError):
            encode_payload(refused)


def test_energy_under_another_half_life_has_golden_bytes() -> None:
    """The change of kind 3 is encoded as the vector has it; a week is kind 2."""
    vectors = Path(__file__).parents[2] / "vectors"
    golden = json.loads((vectors / "envelope.json").read_text())["paced_energy"]
    device = DeviceId(bytes.fromhex(golden["device"]))
    spent = tuple(
        (NodeKey(key), value) for key, value in golden["accumulators"].items()
    )
    change = energy_change(device, golden["half_life"], spent)

    assert msgspec.msgpack.encode(change).hex() == golden["change"]
    assert decode_payload(encode_payload((change,))) == (change,)
    assert energy_change(device, HALF_LIFE, spent) == EnergyChange(device, spent)


@pytest.mark.parametrize("half_life", [0, -1, MAX_HALF_LIFE + 1, 2.5, True, "24", None])
def test_a_half_life_keeps_its_limits(half_life: Any) -> None:
    """Beyond one hour to ten years the payload is refused."""
    body = msgspec.msgpack.encode([[3, DEVICE, half_life, [["a", 1.0]]]])

    with pytest.raises(MalformedError):
        decode_payload(raw(body))
