"""Archives are streamed both ways, agree with other programs', and cannot escape."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import InvalidError
from daemon.interchange import tar
from daemon.interchange.records import Failure
from daemon.interchange.tar import ArchivedFile

_parts = st.text(
    st.characters(
        codec="utf-8", exclude_characters="/", exclude_categories=("Cc", "Zl", "Zp")
    ),
    min_size=1,
    max_size=60,
).filter(lambda part: part.strip(".") != "")
_files = st.builds(
    ArchivedFile,
    st.lists(_parts, min_size=1, max_size=6).map(lambda p: "/".join(p) + ".md"),
    st.binary(max_size=1500),
)


def _archive(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return stream.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, "/etc/passwd"
    return member


def _read(data: bytes, limit: int = 2000) -> list[ArchivedFile | Failure]:
    return list(tar.read([data], ".md", limit))


@given(st.lists(_files, max_size=4), st.integers(1, 2000))
def test_what_is_written_reads_back(files: list[ArchivedFile], size: int) -> None:
    """Names and contents survive, however the bytes are cut."""
    data = b"".join(tar.write(files))
    cut = [data[at : at + size] for at in range(0, len(data), size)]

    assert files == list(tar.read([b"", *cut], ".md", 2000))


@given(st.lists(_files, max_size=3))
def test_other_programs_read_it(files: list[ArchivedFile]) -> None:
    """The standard library sees the same files, closed to other users."""
    stream = io.BytesIO(b"".join(tar.write(files)))

    with tarfile.open(fileobj=stream) as archive:
        members = archive.getmembers()

    assert [(f.path, len(f.content), 0o600) for f in files] == [
        (member.name, member.size, member.mode) for member in members
    ]


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_archives_of_other_programs(form: int) -> None:
    """All three dialects are read; folders and other files are passed over."""
    long = "/".join(["x" * 60] * 3) + ".md"
    data = _archive(
        _member("folder", tarfile.DIRTYPE),
        _member("./a.MD", size=3),
        _member("picture.png", size=5000),
        _member(long, size=1),
        form=form,
    )

    assert [ArchivedFile("a.MD", b"xxx"), ArchivedFile(long, b"x")] == _read(data)


@pytest.mark.parametrize(
    ("member", "detail"),
    [
        (_member("/a.md"), "points outside"),
        (_member("a/../../b.md"), "points outside"),
        (_member("a\nb.md"), "not UTF-8 text"),
        (_member("a\udcff.md"), "not UTF-8 text"),
        (_member("a.md", tarfile.SYMTYPE), "a link or a device"),
        (_member("a.md", tarfile.LNKTYPE), "a link or a device"),
        (_member("a.md", tarfile.CHRTYPE), "a link or a device"),
        (_member("a.md", size=3000), "larger than 2000 bytes"),
    ],
)
def test_what_cannot_be_a_note_is_told(member: tarfile.TarInfo, detail: str) -> None:
    """Links, devices, escapes and giants are failures; the file after is read."""
    data = _archive(member, _member("fine.md", size=2), form=tarfile.GNU_FORMAT)

    failure, fine = _read(data)

    assert isinstance(failure, Failure)
    assert detail in failure.detail
    assert ArchivedFile("fine.md", b"xx") == fine


def _with_size(kind: bytes, size: int) -> bytes:
    return _member("a.md", kind, size).tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "cut short"),
        (b"x" * 512, "not a tar archive"),
        (_archive(_member("a.md", size=600))[:1024], "cut short"),
        (_archive(_member("a.md", size=600))[:1536], "cut short"),
        (_archive(_member("a.png", size=600))[:1024], "cut short"),
        (_with_size(tarfile.XHDTYPE, 2**40), "larger than any file name"),
        (_with_size(tarfile.GNUTYPE_LONGNAME, -1), "larger than any file name"),
        (_with_size(tarfile.REGTYPE, -1), "impossible size"),
        (_with_size(tarfile.XHDTYPE, 10) + b"99999 a=b\n".ljust(512, b"\0"), "cut"),
        (_with_size(tarfile.XHDTYPE, 10) + b"x a=b\n".ljust(512, b"\0"), "damaged"),
    ],
)
def test_damaged_archives_are_refused(data: bytes, detail: str) -> None:
    """What was cut short or makes no sense is refused with a reason."""
    with pytest.raises(InvalidError, match=detail):
        _read(data)


def test_a_file_without_end_is_not_held() -> None:
    """A file of a terabyte is passed over as it comes, until it breaks off."""
    header = _with_size(tarfile.REGTYPE, 2**40)

    with pytest.raises(InvalidError, match="cut short"):
        list(tar.read([header, *[bytes(2**20)] * 64], ".md", 2000))
