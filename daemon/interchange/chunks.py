"""Bytes that come in chunks of any size, cut the way a format needs them."""

from collections.abc import Iterable, Iterator
from typing import Final

from crdt.errors import InvalidError

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def numbered_lines(
    chunks: Iterable[bytes], limit_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line without its end) for every line that is not blank.

    Raises `InvalidError` for a line above `limit_bytes`, before holding more of it.
    """
    number = 1
    started = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            started += part
            _check_length(number, started, limit_bytes)
            if line := _content(number, started):
                yield number, line
            number += 1
            started.clear()
        started += rest
        _check_length(number, started, limit_bytes)
    if line := _content(number, started):
        yield number, line


def gathered(chunks: Iterable[bytes], least_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in chunks of at least `least_bytes`, but for the last."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= least_bytes:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


class ByteReader:
    """Takes and skips counts of bytes off the front of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._waiting = bytearray()

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer only where the chunks end."""
        while len(self._waiting) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._waiting += chunk
        taken = bytes(self._waiting[:count])
        del self._waiting[:count]
        return taken

    def skip(self, count: int) -> bool:
        """Pass over `count` bytes without holding them; False if they end before."""
        while count > len(self._waiting):
            count -= len(self._waiting)
            chunk = next(self._chunks, None)
            if chunk is None:
                self._waiting.clear()
                return False
            self._waiting[:] = chunk
        del self._waiting[:count]
        return True

    def drain(self) -> None:
        """Pass over all that is left, so that whoever sends it is not cut off."""
        self._waiting.clear()
        for _ in self._chunks:
            pass


def _check_length(number: int, line: bytearray, limit_bytes: int) -> None:
    if len(line) > limit_bytes:
        raise InvalidError(f"line {number}", f"it is longer than {limit_bytes} bytes")


def _content(number: int, line: bytearray) -> bytes:
    start = _BYTE_ORDER_MARK if number == 1 else b""
    return bytes(line.removeprefix(start).strip())
