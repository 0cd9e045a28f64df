"""What goes through the pipes to the process that embeds, and what does not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.worker_messages import (
    LENGTH,
    MAX_FRAME_BYTES,
    MAX_TEXTS,
    Embed,
    Embedded,
    Failed,
    Open,
    Opened,
    Unusable,
    content_length,
    decode_answer,
    decode_question,
    frame,
)
from crdt.errors import MalformedError


@pytest.mark.parametrize("question", [Open("/a", 2), Embed(7, ["", "ä🙂", "x" * 4096])])
def test_questions_come_through(question: Open | Embed) -> None:
    """Whatever is asked is what the process reads."""
    framed = frame(question)

    assert content_length(framed[: LENGTH.size]) == len(framed) - LENGTH.size
    assert decode_question(framed[LENGTH.size :]) == question


@pytest.mark.parametrize(
    "answer", [Opened(b"12345678"), Unusable("model"), Embedded(1, b"x"), Failed(2)]
)
def test_answers_come_through(
    answer: Opened | Unusable | Embedded | Failed,
) -> None:
    """Whatever is answered is what the daemon reads."""
    assert decode_answer(frame(answer)[LENGTH.size :]) == answer


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(content: bytes) -> None:
    """Bytes decode as a message or raise `MalformedError`, on both sides."""
    for decode in (decode_answer, decode_question):
        try:
            message = decode(content)
        except MalformedError:
            continue
        assert frame(message)


@pytest.mark.parametrize(
    "message",
    [
        ["embed", 1, []],
        ["embed", 1, ["x"] * (MAX_TEXTS + 1)],
        ["embed", 1, ["x" * 9000]],
        ["open", "/a", 0],
        ["opened", b"1234567"],
        ["embedded", 1, b"x" * (MAX_TEXTS * 384 + 1)],
    ],
)
def test_messages_have_limits(message: list[object]) -> None:
    """No message is larger than its kind can be."""
    content = msgspec.msgpack.encode(message)
    decode = decode_question if message[0] in ("embed", "open") else decode_answer

    with pytest.raises(MalformedError):
        decode(content)


def test_frames_have_a_limit() -> None:
    """A length beyond the limit is refused before anything is read."""
    with pytest.raises(MalformedError):
        content_length(LENGTH.pack(MAX_FRAME_BYTES + 1))
