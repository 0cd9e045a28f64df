"""Frames of a circle: what is said reads back; what breaks its format is refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.circle_items import ItemKind
from crdt.errors import MalformedError
from crdt.ids import CircleId
from transport.circle_frames import (
    FIRST_IGNORABLE_KIND,
    KEY_BYTES,
    MAX_FRAME_BYTES,
    MAX_NAMES,
    MAX_PAYLOAD_BYTES,
    MAX_RANGES,
    VERSION,
    Acknowledge,
    Ask,
    Bye,
    CircleFarewell,
    CircleFrame,
    CircleState,
    Compare,
    Give,
    Hello,
    Listed,
    SetSummary,
    Split,
    Stand,
    Tell,
    UnknownVersionError,
    Wanted,
    decode,
    encode,
)

EMPTY = SetSummary(0, bytes(32))
STATE = CircleState((SetSummary(3, b"\1" * 32), EMPTY, EMPTY, EMPTY), None, False)  # noqa: FBT003
HELLO = Hello((1, 1), CircleId(bytes(32)), bytes(8), 4, "rc1", STATE)
FRAMES: list[CircleFrame] = [
    HELLO,
    Stand(msgspec.structs.replace(STATE, result=bytes(32), is_paused=True)),
    Compare(ItemKind.CARD, 1, ()),
    Compare(
        ItemKind.VOTE,
        2,
        (
            Split(b"", b"\0\1\5\0\0", bytes(32)),
            Listed(b"\0", b"\5", 8, bytes(16)),
            Wanted(b"\0", b"\5", 32, bytes(32)),
        ),
    ),
    Give(ItemKind.CONTRIBUTION, b"x"),
    Acknowledge(5, 1),
    Tell(ItemKind.VOTE, (bytes(KEY_BYTES),)),
    Ask(ItemKind.STATEMENT, (bytes(KEY_BYTES),)),
    Bye(CircleFarewell.REMOVED),
]


def raw(*elements: Any) -> bytes:
    """Return an array as a frame of this version."""
    return bytes([VERSION]) + msgspec.msgpack.encode(elements)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_reads_back(frame: CircleFrame) -> None:
    """Every frame decodes to itself, also with elements that a later version adds."""
    elements = msgspec.msgpack.decode(encode(frame)[1:])

    assert decode(encode(frame)) == frame
    assert decode(raw(*elements, *[None] * 3)) == frame


@pytest.mark.parametrize("kind", [FIRST_IGNORABLE_KIND, 255])
def test_unknown_kinds_that_may_be_ignored_are(kind: int) -> None:
    """A later version may add what an older one passes over."""
    assert decode(raw(kind, None)) is None


@pytest.mark.parametrize("kind", [8, FIRST_IGNORABLE_KIND - 1, 256, -1, "x", None])
def test_other_unknown_kinds_are_refused(kind: object) -> None:
    """What has to be understood, and what is no kind, ends the session."""
    with pytest.raises(MalformedError):
        decode(raw(kind, 1))


def test_another_version_is_told_apart() -> None:
    """The version is looked at before anything else."""
    for encoded in (b"", b"\x00", bytes([VERSION + 1]) + encode(HELLO)[1:]):
        with pytest.raises(UnknownVersionError):
            decode(encoded)


@given(st.sampled_from(FRAMES), st.data())
def test_changed_frames_are_refused_or_valid(
    frame: CircleFrame, data: st.DataObject
) -> None:
    """A frame of which a byte was changed never does anything else."""
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
        Give(ItemKind.VOTE, b""),
        Give(ItemKind.VOTE, bytes(MAX_PAYLOAD_BYTES + 1)),
        Tell(ItemKind.VOTE, ()),
        Tell(ItemKind.VOTE, (bytes(KEY_BYTES),) * (MAX_NAMES + 1)),
        Ask(ItemKind.VOTE, (bytes(KEY_BYTES - 1),)),
        Compare(ItemKind.VOTE, 1, (Split(b"", b"", b""),) * (MAX_RANGES + 1)),
        Compare(ItemKind.VOTE, 1, (Split(bytes(KEY_BYTES + 1), b"", b""),)),
        Compare(ItemKind.VOTE, 1, (Listed(b"", b"", 7, b""),)),
        Compare(ItemKind.VOTE, -1, ()),
        Acknowledge(-1, 0),
        msgspec.structs.replace(HELLO, rule="x" * 33),
        msgspec.structs.replace(HELLO, circle=CircleId(bytes(16))),
    ],
)
def test_limits_are_kept(frame: CircleFrame) -> None:
    """A frame beyond a limit is refused when it is decoded."""
    with pytest.raises(MalformedError):
        decode(encode(frame))


def test_a_frame_is_no_larger_than_it_may_be() -> None:
    """Size is looked at before content; the largest payload fits."""
    largest = Give(ItemKind.VOTE, bytes(MAX_PAYLOAD_BYTES))

    assert decode(encode(largest)) == largest
    with pytest.raises(MalformedError):
        decode(encode(largest) + bytes(MAX_FRAME_BYTES))
