"""Presence: newer states stand, silence ends, and nothing grows without bound."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from daemon.live.awareness import EXPIRES_MS, Awareness
from daemon.live.y_protocol import MAX_PRESENCES, Presence

HERE: Final = Presence(1, 5, "{}")
GONE: Final = Presence(1, 5, None)


def test_a_newer_state_stands() -> None:
    """Of two states of a client the one with the larger clock is shown."""
    awareness = Awareness()
    newer = Presence(1, 6, '{"name":"Ada"}')

    assert awareness.learn([HERE], "a", 0) == [HERE]
    assert awareness.learn([newer], "b", 0) == [newer]
    assert awareness.learn([HERE, newer], "a", 0) == []
    assert awareness.present() == [newer]
    assert awareness.told_by({"b"}) == [newer]
    assert awareness.told_by({"a"}) == []


def test_only_its_source_says_that_a_client_has_gone() -> None:
    """A farewell without a newer clock counts from the source of the state alone."""
    awareness = Awareness()
    awareness.learn([HERE], "a", 0)

    assert awareness.learn([GONE], "b", 0) == []
    assert awareness.learn([GONE], "a", 0) == [GONE]
    assert awareness.learn([GONE], "a", 0) == []
    assert awareness.present() == []


def test_a_source_leaves_with_its_clients() -> None:
    """When a connection ends its clients are gone, and old news do not revive them."""
    awareness = Awareness()
    awareness.learn([HERE, Presence(2, 0, "1")], "a", 0)
    awareness.learn([Presence(3, 0, "1")], "b", 0)

    assert awareness.leave("a", 10) == [GONE, Presence(2, 0, None)]
    assert awareness.leave("a", 10) == []
    assert awareness.learn([HERE], "b", 20) == []
    assert awareness.present() == [Presence(3, 0, "1")]


def test_silence_ends_a_presence() -> None:
    """A client that was silent for 30 seconds is gone, then forgotten."""
    awareness = Awareness()
    awareness.learn([HERE], "a", 0)
    awareness.learn([Presence(2, 0, "1")], "a", 1)

    assert awareness.expire(EXPIRES_MS - 1) == []
    assert awareness.expire(EXPIRES_MS) == [GONE]
    assert awareness.present() == [Presence(2, 0, "1")]
    assert awareness.learn([HERE], "a", EXPIRES_MS) == [HERE]


def test_a_crowd_is_bounded() -> None:
    """Beyond the limit no new client is shown until others have expired."""
    awareness = Awareness()
    crowd = [Presence(number, 0, "1") for number in range(MAX_PRESENCES)]
    late = Presence(10_000, 0, "1")

    assert awareness.learn(crowd, "a", 0) == crowd
    assert awareness.learn([late], "b", 1) == []
    awareness.leave("a", 2)
    assert awareness.learn([late], "b", 3) == []
    awareness.expire(2 + EXPIRES_MS)
    assert awareness.learn([late], "b", 4 + EXPIRES_MS) == [late]


def test_nobody_comes_by_saying_farewell() -> None:
    """A client that was never there cannot go, and takes no place."""
    awareness = Awareness()

    assert awareness.learn([GONE], "a", 0) == []
    assert awareness.learn([Presence(1, 0, "1")], "a", 0) == [Presence(1, 0, "1")]


@given(
    told=st.lists(
        st.builds(
            Presence,
            st.integers(0, 2),
            st.integers(0, 3),
            st.sampled_from([None, "1", "2"]),
        )
    )
)
def test_the_news_are_enough(told: list[Presence]) -> None:
    """Who is told only the news shows the same clients."""
    first, second = Awareness(), Awareness()
    for each in told:
        second.learn(first.learn([each], "a", 0), "first", 0)

    assert first.present() == second.present()
