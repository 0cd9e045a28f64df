"""Frames: what is said reads back; what breaks its format is told from what is new."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from crdt.ids import CircleId, DeviceId, SpaceId
from transport.frames import (
    FIRST_IGNORABLE_KIND,
    MAX_DEVICES,
    VERSION,
    Acknowledge,
    Addresses,
    Bye,
    Changed,
    CheckpointOffer,
    CheckpointPart,
    CheckpointWish,
    Circles,
    Condition,
    Envelopes,
    Farewell,
    Forward,
    Frame,
    Hello,
    OwnCircle,
    PartialCheckpoint,
    Presence,
    Refusal,
    Refused,
    RosterHashes,
    Shown,
    Statements,
    StatementsKept,
    UnknownVersionError,
    decode,
    encode,
)
from transport.link import MAX_FRAME_BYTES

DEVICE = DeviceId(b"device of a test")
HELLO = Hello(
    space=SpaceId(b"space of a test!"),
    run=b"a run of",
    serial=3,
    roster=bytes(32),
    vector={DEVICE: 7},
    now_ms=1_800_000_000_000,
    condition=Condition.READY,
    partial=PartialCheckpoint(bytes(16), 4),
)
FRAMES: list[Frame] = [
    HELLO,
    RosterHashes((bytes(32),)),
    Statements((b"statement",), is_last=True),
    StatementsKept(bytes(32)),
    Envelopes((b"one", b"two")),
    Acknowledge(12, {DEVICE: 8}),
    Refused(((DEVICE, 9, Refusal.GAP),)),
    CheckpointPart(bytes(16), 0, 2, b"part"),
    Shown(bytes(32), bytes(64)),
    Changed(Condition.DISK_FULL),
    Bye(Farewell.REPLACED),
    CheckpointOffer(),
    CheckpointWish(),
    Presence(b"x"),
    Addresses(((DEVICE, "192.0.2.1:7000"),)),
    Forward(b"x"),
    Circles((OwnCircle(CircleId(bytes(32)), b"founding", (b"card",), has_left=False),)),
]


def raw(*elements: Any) -> bytes:
    """Return an array as a frame of this version."""
    return bytes([VERSION]) + msgspec.msgpack.encode(elements)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_reads_back(frame: Frame) -> None:
    """Every frame decodes to itself, also with elements that a later version adds."""
    elements = msgspec.msgpack.decode(encode(frame)[1:])

    assert decode(encode(frame)) == frame
    assert decode(raw(*elements, *[None] * 3)) == frame


def test_elements_at_the_end_may_lack() -> None:
    """What was added with a default need not be sent."""
    elements = msgspec.msgpack.decode(encode(HELLO)[1:])

    assert decode(raw(*elements[:-1])) == msgspec.structs.replace(HELLO, partial=None)


@pytest.mark.parametrize("kind", [FIRST_IGNORABLE_KIND + 4, 200, 255])
@pytest.mark.parametrize("count", [0, 1, 20, 70_000])
def test_unknown_kinds_that_may_be_ignored_are(kind: int, count: int) -> None:
    """A later version may add what an older one passes over, of any length."""
    assert decode(raw(kind, *[None] * count)) is None


@pytest.mark.parametrize("kind", [13, FIRST_IGNORABLE_KIND - 1, 256, -1, "x", None])
def test_other_unknown_kinds_are_refused(kind: object) -> None:
    """What has to be understood, and what is no kind, ends the session."""
    with pytest.raises(MalformedError):
        decode(raw(kind, 1))


def test_another_version_is_told_apart() -> None:
    """The version is looked at before anything else."""
    for encoded in (b"", b"\x00", bytes([VERSION + 1]) + encode(HELLO)[1:]):
        with pytest.raises(UnknownVersionError):
            decode(encoded)


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(content: bytes) -> None:
    """Hostile bytes are a frame, are ignored, or raise `MalformedError`."""
    try:
        decode(bytes([VERSION]) + content)
    except MalformedError:
        return


@given(st.sampled_from(FRAMES), st.data())
def test_changed_frames_are_refused_or_valid(frame: Frame, data: st.DataObject) -> None:
    """A frame of which a byte was changed never does anything else either."""
    encoded = bytearray(encode(frame))
    at = data.draw(st.integers(1, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(encoded))
    except MalformedError:
        return


@pytest.mark.parametrize(
    "frame",
    [
        Acknowledge(0, {DeviceId(each.to_bytes(16)): 1 for each in range(1025)}),
        Acknowledge(0, {DEVICE: 0}),
        Acknowledge(0, {DeviceId(b"short"): 1}),
        Acknowledge(-1, {}),
        Envelopes(()),
        Envelopes((b"",)),
        Envelopes((bytes(7 * 2**20),)),
        Statements((bytes(2**16 + 1),), is_last=True),
        Presence(bytes(2**20)),
        Forward(bytes(2**20)),
    ],
)
def test_limits_are_kept(frame: Frame) -> None:
    """A frame beyond a limit is refused when it is decoded."""
    with pytest.raises(MalformedError):
        decode(encode(frame))


def test_the_largest_frames_fit_a_link() -> None:
    """What is within the limits can be sent."""
    vector = {DeviceId(each.to_bytes(16)): 2**63 - 1 for each in range(MAX_DEVICES)}

    assert decode(encode(Acknowledge(0, vector))) == Acknowledge(0, vector)
    assert len(encode(Envelopes((bytes(6 * 2**20),)))) <= MAX_FRAME_BYTES
