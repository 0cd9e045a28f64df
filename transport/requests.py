"""The requests that peers make of each other's endpoint: a small part of HTTP/1.1.

Specification: docs/protocol/signalling.md. Only `POST` with a `Content-Length` is
understood; everything else gets silence.
"""

import re
from dataclasses import dataclass
from typing import Final

from crdt.errors import MalformedError

MAX_HEAD_BYTES: Final = 4096
MAX_BODY_BYTES: Final = 16 * 1024
END_OF_HEAD: Final = b"\r\n\r\n"

_REQUEST: Final = re.compile(rb"POST /fractality/1/([a-z]{1,16}) HTTP/1\.[01]")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")
_HEADER: Final = re.compile(rb"([A-Za-z0-9-]{1,64}):[ \t]*([^\r\n\0]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, before its body is read."""

    name: str
    length: int


def parse_request(head: bytes) -> Request:
    """Return the request whose head this is, or raise `MalformedError`."""
    first, length = _parse(head)
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise MalformedError(_COMPLAINT)
    return Request(found[1].decode(), length)


def parse_response(head: bytes) -> int | None:
    """Return the length of the body of a 200, None for any other status.

    Raises `MalformedError`.
    """
    first, length = _parse(head)
    found = _STATUS.fullmatch(first)
    if found is None:
        raise MalformedError(_COMPLAINT)
    return length if found[1] == b"200" else None


def format_request(host: str, name: str, body: bytes) -> bytes:
    """Return the request of `name` with `body`."""
    head = f"POST /fractality/1/{name} HTTP/1.1\r\nHost: {host}\r\n"
    return head.encode() + _tail(body)


def format_response(body: bytes | None) -> bytes:
    """Return the response: with a body, or the silence that all refusals share."""
    first = b"HTTP/1.1 404 Not Found\r\n" if body is None else b"HTTP/1.1 200 OK\r\n"
    return first + _tail(body or b"")


def _tail(body: bytes) -> bytes:
    return b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def _parse(head: bytes) -> tuple[bytes, int]:
    """Return the first line of a head, and the length of the body."""
    first, *rest = head.removesuffix(END_OF_HEAD).split(b"\r\n")
    length: int | None = None
    for line in rest:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise MalformedError(_COMPLAINT)
        name, value = header[1].lower(), header[2].strip()
        if name == b"transfer-encoding" or (
            name == b"content-length"
            and (length is not None or not _LENGTH.fullmatch(value))
        ):
            raise MalformedError(_COMPLAINT)
        if name == b"content-length":
            length = int(value)
    if length is None or length > MAX_BODY_BYTES:
        raise MalformedError(_COMPLAINT)
    return first, length


_COMPLAINT: Final = "A request of a stranger is none that a device would make."
