"""The small part of HTTP that peers speak to each other's endpoint."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from transport.requests import (
    END_OF_HEAD,
    MAX_BODY_BYTES,
    Request,
    format_request,
    format_response,
    parse_request,
    parse_response,
)


@given(body=st.binary(max_size=300))
def test_what_is_formatted_is_parsed(body: bytes) -> None:
    """Requests and responses of ours are understood."""
    head, _, rest = format_request("h:1", "signal", body).partition(END_OF_HEAD)
    assert (parse_request(head), rest) == (Request("signal", len(body)), body)

    head, _, rest = format_response(body).partition(END_OF_HEAD)
    assert (parse_response(head), rest) == (len(body), body)
    assert parse_response(format_response(None)) is None


def test_a_silence_says_nothing() -> None:
    """All refusals are one response, without a body and without a name."""
    assert format_response(None) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


FIRST = b"POST /fractality/1/signal HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n\r\n",
        b"GET /fractality/1/signal HTTP/1.1\r\nContent-Length: 1",
        b"POST /fractality/1/../signal HTTP/1.1\r\nContent-Length: 1",
        b"POST /fractality/1/signal HTTP/2\r\nContent-Length: 1",
        FIRST,
        FIRST + b"Content-Length: -1",
        FIRST + b"Content-Length: 1e3",
        FIRST + b"Content-Length: %d" % (MAX_BODY_BYTES + 1),
        FIRST + b"Content-Length: 1\r\nContent-Length: 1",
        FIRST + b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        FIRST + b"Content-Length: 1\r\n folded",
        FIRST + b"Content-Length: 1\nHost: x",
        FIRST + b"Content-Length : 1",
    ],
)
def test_other_requests_are_malformed(head: bytes) -> None:
    """What devices never ask is refused, above all what hides a second request."""
    with pytest.raises(MalformedError):
        parse_request(head)


@given(head=st.binary(max_size=200))
def test_hostile_heads_are_malformed_at_worst(head: bytes) -> None:
    """Any bytes give `MalformedError` at worst."""
    for start in (b"", FIRST, b"HTTP/1.1 200 OK\r\n"):
        for parse in (parse_request, parse_response):
            with suppress(MalformedError):
                parse(start + head)
