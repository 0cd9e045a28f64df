"""A person's devices hear of all circles, in frames that are not too large."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import CircleId
from daemon.circles.announcing import announcements
from transport.frames import MAX_CIRCLES, OwnCircle, decode, encode


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 60_000), st.integers(0, 16)), max_size=2 * MAX_CIRCLES
    )
)
def test_every_circle_is_told_once(sizes: list[tuple[int, int]]) -> None:
    """In their order, and each frame can be read."""
    circles = [
        OwnCircle(
            CircleId(number.to_bytes(32)),
            b"f" * size,
            (b"c" * 4_000,) * cards,
            cards == 1,
        )
        for number, (size, cards) in enumerate(sizes)
    ]

    frames = list(announcements(circles))

    assert [each for frame in frames for each in frame.circles] == circles
    assert all(decode(encode(frame)) == frame for frame in frames)
