"""The numbers and texts that Yjs updates are made of.

Specification: docs/protocol/yjs-update.md. A reader takes the bytes and a position
and returns the value with the position after it. Running past the end raises
`IndexError` or `MalformedError`: whoever starts a pass turns the first into the
second, so that reading a byte costs no check of its own.
"""

from collections.abc import Container
from typing import Final

from crdt.errors import MalformedError

MAX_CLIENT_ID: Final = 2**53 - 1
MAX_CLOCK: Final = 2**31 - 1
MAX_NUMBER_BYTES: Final = 8


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned varint: seven bits a byte, lowest first, high bit for more."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    number = byte & 0x7F
    for shift in range(7, 7 * MAX_NUMBER_BYTES, 7):
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0:
                raise MalformedError("update: a number is not in its shortest form")
            return number, at + 1
    raise MalformedError("update: a number is too long")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a number that is not zero."""
    length, at = read_number(data, at)
    if length == 0:
        raise MalformedError("update: a length of zero")
    return length, at


def read_clock(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of at most 31 bits."""
    clock, at = read_number(data, at)
    if clock > MAX_CLOCK:
        raise MalformedError("update: a clock is too large")
    return clock, at


def read_client(data: bytes, at: int, seen: Container[int]) -> tuple[int, int]:
    """Read a client id of at most 53 bits that is not among those `seen`."""
    client, at = read_number(data, at)
    if client > MAX_CLIENT_ID:
        raise MalformedError("update: a client id is too large")
    if client in seen:
        raise MalformedError("update: a client comes twice")
    return client, at


def read_text(data: bytes, at: int) -> tuple[str, int]:
    """Read a length in bytes and so much UTF-8, else raise `UnicodeDecodeError`."""
    size = data[at]
    at += 1
    if size >= 0x80:
        size, at = read_number(data, at - 1)
    end = at + size
    if end > len(data):
        raise MalformedError("update: ends early")
    return data[at:end].decode(), end


def encode_number(number: int) -> bytes:
    """Return the unsigned varint of `number`."""
    if number < _SHORT_COUNT:
        return _SHORT[number]
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_SHORT: Final = (
    *(bytes((number,)) for number in range(0x80)),
    *(bytes((number & 0x7F | 0x80, number >> 7)) for number in range(0x80, 0x400)),
)
"""Precomputed: nearly every length in a document is below 1024."""
_SHORT_COUNT: Final = len(_SHORT)
