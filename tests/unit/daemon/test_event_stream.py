"""Server-sent events from lines."""

import pytest

from daemon.event_stream import Event, parse_events


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        (["id: 7", "event: pulse", "data: {}", ""], [Event("7", "pulse", "{}")]),
        (["data:{}", ""], [Event("", "message", "{}")]),
        (["data: one", "data: two", ""], [Event("", "message", "one\ntwo")]),
        ([": comment", "", "retry: 5", ""], []),
        (["event: pulse", ""], []),
        (["data: never ended"], []),
    ],
)
def test_an_event_is_what_stands_before_a_blank_line(
    lines: list[str], events: list[Event]
) -> None:
    """Comments and events without data are nothing; an unfinished event never comes."""
    assert events == list(parse_events(lines))


def test_events_do_not_inherit_fields() -> None:
    """What one event names is forgotten with the next."""
    lines = ["id: 1", "event: pulse", "data: a", "", "data: b", ""]

    assert list(parse_events(lines))[1] == Event("", "message", "b")
