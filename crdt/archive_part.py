"""One file of the archive of streams: format and seal.

Specification: docs/protocol/archive.md. A file is written once and never changed; its
hash stands in the store, so that no other file can take its place.
"""

import hashlib
import zlib
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn

import msgspec

from crdt.errors import DamagedError, ForgedError
from crdt.keys import derive
from crdt.sealed_box import open_once, seal_once
from crdt.stream_points import Point, Sums

MAGIC: Final = b"fractality streams 1\n"
SALT_BYTES: Final = 32
MAX_PLAIN_BYTES: Final = 64 * 1024 * 1024
_LABEL: Final = "stream archive"
_TAG_BYTES: Final = 16


class OldPoint(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """A point, as files have it."""

    time_ms: int
    atp: float
    attention: float
    type: str

    def point(self) -> Point:
        """Return it as any other point."""
        return Point(self.time_ms, self.atp, self.attention, self.type)


class OldStream(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """What a file has of one node."""

    node: Annotated[int, msgspec.Meta(ge=1)]
    points: tuple[OldPoint, ...]
    hours: tuple[Sums, ...]


def seal_part(key: bytes, salt: bytes, streams: Sequence[OldStream]) -> bytes:
    """Return a file with these streams; `salt` is random and used once."""
    plain = zlib.compress(msgspec.msgpack.encode(streams), level=6)
    return MAGIC + salt + seal_once(derive(key, _LABEL, salt=salt), plain)


def part_hash(content: bytes) -> bytes:
    """Return the SHA-256 by which a file is known."""
    return hashlib.sha256(content).digest()


def open_part(key: bytes, content: bytes, expected: bytes) -> tuple[OldStream, ...]:
    """Return the streams of a file whose hash is expected, or raise `DamagedError`."""
    start = len(MAGIC) + SALT_BYTES
    if part_hash(content) != expected or content[: len(MAGIC)] != MAGIC:
        _refuse()
    try:
        packed = open_once(
            derive(key, _LABEL, salt=content[len(MAGIC) : start]), content[start:]
        )
        inflating = zlib.decompressobj()
        plain = inflating.decompress(packed, MAX_PLAIN_BYTES)
        if not inflating.eof:
            _refuse()
        return _decode(plain)
    except (ForgedError, zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        _refuse()


def _refuse() -> NoReturn:
    message = (
        "A file of the archive of old histories is damaged or another's. Everything"
        " else is safe: put it back from a copy of the home, or restore a backup into"
        " a new one."
    )
    raise DamagedError(message)


_decode = msgspec.msgpack.Decoder(tuple[OldStream, ...]).decode
