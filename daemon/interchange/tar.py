"""Files in one tar archive, written and read as a stream that never meets the disk.

The standard library packs and unpacks single headers here; its archive reader is not
used, because it holds extended headers of any size that an archive claims.

Written is POSIX pax. Read are ustar, pax and GNU; links, devices and names that point
outside the archive become failures, and no file above the limit is held.
"""

import tarfile
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from crdt.errors import InvalidError
from crdt.ids import has_control_characters
from daemon.interchange.chunks import ByteReader
from daemon.interchange.records import Failure

MAX_EXTENDED_BYTES: Final = 64 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE
_FILE_TYPES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENDED_TYPES: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class ArchivedFile(msgspec.Struct, frozen=True):
    """A file with its path inside the archive, parts divided by `/`."""

    path: str
    content: bytes
    modified_ms: int = 0


def write(files: Iterable[ArchivedFile]) -> Iterator[bytes]:
    """Yield one archive of `files`, readable by their owner alone."""
    for file in files:
        member = tarfile.TarInfo(file.path)
        member.size = len(file.content)
        member.mtime = file.modified_ms // 1000
        member.mode = 0o600
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield file.content + bytes(-len(file.content) % _BLOCK)
    yield bytes(2 * _BLOCK)


def read(
    chunks: Iterable[bytes], suffix: str, limit_bytes: int
) -> Iterator[ArchivedFile | Failure]:
    """Yield the files of an archive whose names end in `suffix`, in any case.

    Raises `InvalidError` if the archive is damaged or has no end.
    """
    reader = ByteReader(chunks)
    extended: dict[str, str] = {}
    while (member := _header(reader)) is not None:
        if member.type in _EXTENDED_TYPES:
            extended |= _extended_header(reader, member)
            continue
        path = extended.get("path", member.name)
        size = _size(extended.get("size", str(member.size)))
        extended = {}
        fault = _fault(path, member.type, size, limit_bytes)
        if not path.lower().endswith(suffix):
            _skip(reader, size)
        elif fault is not None:
            _skip(reader, size)
            yield Failure(path.encode(errors="replace").decode(), fault)
        else:
            content = reader.take(size)
            if len(content) < size or not reader.skip(-size % _BLOCK):
                raise _cut_short()
            yield ArchivedFile(_plain(path), content)
    reader.drain()


def _header(reader: ByteReader) -> tarfile.TarInfo | None:
    """Return the next header, or None at the block of zeros that ends an archive."""
    block = reader.take(_BLOCK)
    if len(block) < _BLOCK:
        raise _cut_short()
    if block == bytes(_BLOCK):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise InvalidError("archive", "this is not a tar archive, or damaged") from None


def _extended_header(reader: ByteReader, member: tarfile.TarInfo) -> dict[str, str]:
    """Return what a header says of the file after it: its path, its size."""
    if not 0 <= member.size <= MAX_EXTENDED_BYTES:
        raise InvalidError("archive", "a header is larger than any file name needs")
    content = reader.take(member.size)
    if len(content) < member.size or not reader.skip(-member.size % _BLOCK):
        raise _cut_short()
    if member.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(content.rstrip(b"\0"))}
    if member.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
        return _pax_records(content)
    return {}


def _pax_records(content: bytes) -> dict[str, str]:
    """Return the records of a pax header: lines of `LENGTH NAME=VALUE`."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content):
        length, _, _ = content[at : at + 20].partition(b" ")
        if not length.isdigit() or int(length) <= len(length):
            raise InvalidError("archive", "an extended header is damaged")
        record = content[at + len(length) + 1 : at + int(length) - 1]
        name, _, value = record.partition(b"=")
        records[_text(name)] = _text(value)
        at += int(length)
    return records


def _size(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise InvalidError("archive", "a file has an impossible size")
    return int(digits)


def _fault(path: str, kind: bytes, size: int, limit_bytes: int) -> str | None:
    """Return why a file cannot be taken, or None."""
    if kind not in _FILE_TYPES:
        return "it is a link or a device, not a file"
    if has_control_characters(path):
        return "its name is not UTF-8 text"
    if path.startswith("/") or ".." in path.split("/"):
        return "its name points outside the archive"
    if size > limit_bytes:
        return f"it is larger than {limit_bytes} bytes"
    return None


def _skip(reader: ByteReader, size: int) -> None:
    if not reader.skip(size + -size % _BLOCK):
        raise _cut_short()


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _text(encoded: bytes) -> str:
    return encoded.decode(errors="surrogateescape")


def _cut_short() -> InvalidError:
    return InvalidError("archive", "it ends too early: it was cut short on its way")
