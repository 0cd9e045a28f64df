"""Folders of notes as tar streams."""

import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.errors import RefusedError
from daemon.cli.folder import find_notes, unpack

NAMES = st.text(
    st.characters(categories=["L", "N"], include_characters=" -ü"), min_size=1
).map(lambda stem: f"{stem[:200].encode()[:200].decode(errors='ignore')}.md")
FOLDERS = st.sampled_from(["", "a/", "a/b/"])
VAULTS = st.dictionaries(st.builds("{}{}".format, FOLDERS, NAMES), st.binary())


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write `files` into `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@settings(max_examples=30)  # each writes a folder to the disk, twice
@given(VAULTS)
def test_a_folder_comes_out_as_it_went_in(files: dict[str, bytes]) -> None:
    """Whatever the names and contents, unpacking the stream gives the same notes."""
    with TemporaryDirectory() as before, TemporaryDirectory() as after:
        write(Path(before), files)
        stream = io.BytesIO(b"".join(find_notes(Path(before)).stream()))

        assert unpack(stream, Path(after)) == len(files)
        found = Path(after).rglob("*.md")
        assert files == {
            path.relative_to(after).as_posix(): path.read_bytes() for path in found
        }


def test_notes_are_found_in_order_and_counted(tmp_path: Path) -> None:
    """The size is told before the reading, so that progress ends at its end."""
    write(tmp_path, {"b.md": b"1" * 512, "a.md": b"1" * 513, "c.txt": b"6789"})

    notes = find_notes(tmp_path)

    assert notes.files == [Path("a.md"), Path("b.md")]
    assert notes.left_out == 1
    assert notes.archive_bytes == len(b"".join(notes.stream()))


def test_a_note_that_vanishes_is_named_and_the_rest_is_sent(tmp_path: Path) -> None:
    """What cannot be read while streaming does not stop the others."""
    write(tmp_path, {"gone.md": b"1", "here.md": b"2"})
    notes = find_notes(tmp_path)
    (tmp_path / "gone.md").unlink()

    with tarfile.open(fileobj=io.BytesIO(b"".join(notes.stream()))) as archive:
        assert archive.getnames() == ["here.md"]
    assert notes.unreadable == ["gone.md: No such file or directory"]


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Damaged input is told as such and leaves nothing behind."""
    with pytest.raises(RefusedError, match="cannot be unpacked"):
        unpack(io.BytesIO(b"no archive" * 100), tmp_path)
    assert list(tmp_path.iterdir()) == []
