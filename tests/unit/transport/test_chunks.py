"""Frames in pieces, and what is made of hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from transport.chunks import (
    BIND_BYTES,
    CREDIT_STEP_BYTES,
    MAX_MESSAGE_BYTES,
    PIECE_BYTES,
    WINDOW_BYTES,
    Abandon,
    Bind,
    Channel,
    Credit,
    Inflow,
    Message,
    Outflow,
    Piece,
    Ping,
    Pong,
    decode_message,
    encode_message,
    pieces,
)
from transport.link import MAX_FRAME_BYTES

FULL = Piece(bytes(PIECE_BYTES), is_last=False)

sizes = st.integers(1, 5).flatmap(
    lambda count: st.sampled_from([1, count, count * PIECE_BYTES + count - 3])
)
numbers = st.integers(0, 2**32 - 1)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Piece, st.binary(min_size=1, max_size=100), st.just(value=True)),
    st.just(FULL),
    st.builds(Abandon),
    st.builds(Credit, st.sampled_from(Channel), st.integers(0, 2**64 - 1)),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
    st.builds(Bind, st.binary(min_size=BIND_BYTES, max_size=BIND_BYTES)),
)


@given(sizes=st.lists(sizes, max_size=6))
def test_a_frame_comes_back_whole(sizes: list[int]) -> None:
    """What was cut and sent comes out as it was, frame by frame."""
    inflow = Inflow(Channel.BULK)
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]
    received = []

    for piece in (piece for frame in frames for piece in pieces(frame)):
        encoded = encode_message(piece)
        assert len(encoded) <= MAX_MESSAGE_BYTES
        decoded = decode_message(Channel.BULK, encoded)
        assert isinstance(decoded, Piece)
        frame = inflow.receive(decoded)
        if frame is not None:
            received.append(frame)

    assert received == frames


@given(message=messages)
def test_a_message_decodes_to_itself(message: Message) -> None:
    """Every message has one encoding and comes back from it."""
    assert decode_message(Channel.CONTROL, encode_message(message)) == message


@given(encoded=st.binary(max_size=100), channel=st.sampled_from(Channel))
def test_hostile_bytes_are_malformed_at_worst(encoded: bytes, channel: Channel) -> None:
    """Bytes are a message in its only encoding, or `MalformedError`, nothing else."""
    try:
        message = decode_message(channel, encoded)
    except MalformedError:
        return
    assert encode_message(message) == encoded


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x00short piece in the middle",
        b"\x01",
        b"\x01" + bytes(MAX_MESSAGE_BYTES),
        b"\x02x",
        b"\x03\x01" + bytes(8),
        b"\x04",
        b"\x06" + bytes(63),
        b"\x07",
    ],
)
def test_a_broken_message_is_refused(encoded: bytes) -> None:
    """Short middle pieces, empty ends, odd lengths and unknown kinds are malformed."""
    with pytest.raises(MalformedError):
        decode_message(Channel.CONTROL, encoded)


@pytest.mark.parametrize(
    "message", [Credit(Channel.BULK, 1), Ping(1), Pong(1), Bind(bytes(64))]
)
def test_bulk_carries_frames_only(message: Message) -> None:
    """Messages about the link itself are malformed on the bulk channel."""
    with pytest.raises(MalformedError):
        decode_message(Channel.BULK, encode_message(message))


def test_a_frame_without_end_is_refused() -> None:
    """A frame is malformed as soon as it grows beyond the largest."""
    inflow = Inflow(Channel.BULK)
    allowed = MAX_FRAME_BYTES // PIECE_BYTES

    for _ in range(allowed):
        assert inflow.receive(FULL) is None
    with pytest.raises(MalformedError):
        inflow.receive(FULL)


def test_a_backlog_beyond_the_window_is_refused() -> None:
    """A peer that sends on, though nothing is taken, is found out."""
    inflow, outflow = Inflow(Channel.BULK), Outflow()
    frame = Piece(bytes(PIECE_BYTES), is_last=True)

    while outflow.has_room(PIECE_BYTES):
        outflow.send(PIECE_BYTES)
        assert inflow.receive(frame) == frame.payload
    with pytest.raises(MalformedError):
        inflow.receive(frame)


@given(
    steps=st.lists(st.sampled_from(["send", "take", "abandon"]), max_size=200),
    size=st.integers(1, 40).map(lambda count: count * PIECE_BYTES),
)
def test_an_honest_sender_always_gets_on(steps: list[str], size: int) -> None:
    """Whatever is taken or abandoned when, no honest sender is refused or stuck."""
    inflow, outflow = Inflow(Channel.BULK), Outflow()
    waiting: list[bytes] = []

    def credit(told: Credit | None) -> None:
        if told is not None:
            outflow.credit(told.taken)

    for step in steps:
        if step == "take" and waiting:
            credit(inflow.take(len(waiting.pop(0))))
        elif step == "abandon" and outflow.has_room(PIECE_BYTES):
            outflow.send(PIECE_BYTES)
            inflow.receive(FULL)
            credit(inflow.abandon())
        elif step == "send" and outflow.has_room(size):
            outflow.send(size)
            for piece in pieces(bytes(size)):
                frame = inflow.receive(piece)
            assert frame is not None
            waiting.append(frame)
    for frame in waiting:
        credit(inflow.take(len(frame)))

    assert outflow.has_room(MAX_FRAME_BYTES)


def test_credit_beyond_what_was_sent_is_refused() -> None:
    """A peer can neither take what was not sent nor give back what it took."""
    outflow = Outflow()
    outflow.send(CREDIT_STEP_BYTES)
    outflow.credit(100)

    for taken in (99, CREDIT_STEP_BYTES + 1, 2**64 - 1):
        with pytest.raises(MalformedError):
            outflow.credit(taken)
    assert outflow.has_room(WINDOW_BYTES - CREDIT_STEP_BYTES + 100)
    assert not outflow.has_room(WINDOW_BYTES - CREDIT_STEP_BYTES + 101)
