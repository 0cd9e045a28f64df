"""Import, export and backup."""

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import Answer, FakeDaemon, ndjson, problem


def archive(**files: bytes) -> bytes:
    """Return a tar archive of `files`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


@pytest.mark.parametrize(
    ("suffix", "format_name", "content_type"),
    [
        ("jsonl", "jsonl", "application/x-ndjson"),
        ("graphml", "graphml", "application/xml"),
        ("TAR", "markdown", "application/x-tar"),
    ],
)
def test_a_file_is_sent_as_it_is(
    daemon: FakeDaemon,
    command_line: CommandLine,
    tmp_path: Path,
    *,
    suffix: str,
    format_name: str,
    content_type: str,
) -> None:
    """The suffix names the format; every byte arrives, in however many chunks."""
    file = tmp_path / f"graph.{suffix}"
    file.write_bytes(b"0123456789\n" * 20_000)

    result = command_line.run("import", str(file))

    (request,) = daemon.requests
    assert (request.query, request.headers["Content-Type"]) == (
        {"format": format_name},
        content_type,
    )
    assert request.content == file.read_bytes()
    assert (result.exit_code, result.stdout) == (0, "Imported 20,000 items.\n")


def test_a_folder_is_sent_as_a_tar_of_its_notes(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Notes are sent under their relative names; other files are counted only."""
    vault = tmp_path / "vault"
    (vault / "deep" / "er").mkdir(parents=True)
    (vault / ".obsidian").mkdir()
    (vault / ".obsidian" / "settings.md").write_text("not a note")
    (vault / "Über.md").write_text("eins")
    (vault / "deep" / "er" / "two.MD").write_text("zwei" * 1000)
    (vault / "picture.png").write_bytes(b"png")
    (vault / "outside.md").symlink_to(tmp_path / "secret.md")

    result = command_line.run("import", str(vault))

    (request,) = daemon.requests
    with tarfile.open(fileobj=io.BytesIO(request.content)) as sent:
        assert sent.getnames() == ["Über.md", "deep/er/two.MD"]
        assert {sent.extractfile(each).read() for each in sent} == {  # type: ignore[union-attr]  # all are files
            b"eins",
            b"zwei" * 1000,
        }
    assert request.query == {"format": "markdown"}
    assert "Left out 2 files of other kinds." in result.stdout


def test_failures_are_shown_up_to_a_bound(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Twenty failures are told with their places, the rest is counted: status 1."""
    file = tmp_path / "graph.jsonl"
    file.write_text("{}\n")
    told = {"title": "Invalid", "status": 422, "detail": "must not be empty"}
    failures = [{"line": n, "problem": told | {"field": "key"}} for n in range(1, 26)]
    named = {"item": "a\x1b.md", "problem": told}
    daemon.answers["POST", "/v1/import"] = ndjson(
        named,
        {"progress": {"applied": 3}},
        *failures,
        {"done": True, "applied": 1234, "failed": 26},
    )

    result = command_line.run("import", str(file))

    assert (result.exit_code, result.stdout) == (
        1,
        "Imported 1,234 items, 26 failed.\n",
    )
    lines = result.stderr.splitlines()
    assert lines[:2] == [
        "  a\\x1b.md: must not be empty",
        "  line 1: key: must not be empty",
    ]
    assert (len(lines), lines[-1]) == (21, "  … and 6 more")


def test_json_prints_what_the_import_answered(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """With --json the lines of the answer are printed as they come."""
    file = tmp_path / "graph.jsonl"
    file.write_text("{}\n")

    result = command_line.run("--json", "import", str(file))

    assert [json.loads(line) for line in result.output.splitlines()] == [
        {"done": True, "applied": 1, "failed": 0}
    ]


def test_an_import_that_breaks_off_is_told(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Without the last line nobody knows of the rest, so it is a failure."""
    file = tmp_path / "graph.jsonl"
    file.write_text("{}\n")
    daemon.answers["POST", "/v1/import"] = ndjson({"progress": {"applied": 7}})

    result = command_line.run("import", str(file))

    assert result.exit_code == 1
    assert "stopped after 7 items; these are safe" in result.stderr


def test_a_refused_import_is_told(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """A problem in the place of the answer ends the upload."""
    file = tmp_path / "graph.jsonl"
    file.write_text("{}\n")
    daemon.answers["POST", "/v1/import"] = problem(507, "The disk is full.")

    result = command_line.run("import", str(file))

    assert (result.exit_code, result.stderr) == (1, "Error: The disk is full.\n")


@pytest.mark.parametrize("command", ["import", "export"])
def test_an_unknown_suffix_is_wrong_usage(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path, command: str
) -> None:
    """A name that tells no format is refused before anything is asked or written."""
    file = tmp_path / "graph.csv"
    file.write_text("precious")

    result = command_line.run(command, str(file))

    assert result.exit_code == 2
    assert "is not a .jsonl, .graphml or .tar file" in result.stderr
    assert (daemon.requests, file.read_text()) == ([], "precious")


def test_import_without_a_daemon_is_told(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """An import needs the daemon like any other command."""
    assert command_line.run("import", str(tmp_path)).exit_code == 3


def test_an_export_is_a_private_file(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """The whole answer is written, readable by its owner only; nothing else is left."""
    daemon.put("bees", "Bees")
    file = tmp_path / "out" / "graph.jsonl"
    file.parent.mkdir()

    result = command_line.run("export", str(file))

    assert json.loads(file.read_text())["key"] == "bees"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["graph.jsonl"]
    assert result.stdout == f"Exported to {file} ({file.stat().st_size} bytes).\n"


@pytest.mark.parametrize("command", ["export", "backup"])
def test_what_is_there_is_replaced_only_by_force(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path, command: str
) -> None:
    """An existing file is left as it is unless --force is given."""
    daemon.answers["GET", f"/v1/{command}"] = Answer(200, b"new")
    file = tmp_path / "graph.jsonl"
    file.write_text("old")

    refused = command_line.run(command, str(file))
    assert (refused.exit_code, file.read_text()) == (4, "old")
    assert command_line.run(command, str(file), "--force").exit_code == 0
    assert file.read_text() == "new"


@pytest.mark.parametrize("command", ["export", "backup"])
def test_half_an_answer_leaves_no_file(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path, command: str
) -> None:
    """If the daemon stops meanwhile, neither a file nor a part of it appears."""
    daemon.answers["GET", f"/v1/{command}"] = Answer(200, b"half", declared=1000)
    folder = tmp_path / "out"
    folder.mkdir()

    result = command_line.run(command, str(folder / "graph.jsonl"))

    assert result.exit_code == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["notes/", "there"])
def test_a_folder_is_exported_unpacked(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path, name: str
) -> None:
    """A path that ends in a slash, or an empty folder, receives the notes."""
    (tmp_path / "there").mkdir()
    notes = archive(**{"a.md": b"# A", "deep/b.md": b"# B"})
    daemon.answers["GET", "/v1/export"] = Answer(200, notes, "application/x-tar")

    result = command_line.run("export", str(tmp_path) + "/" + name)

    assert (result.exit_code, daemon.requests[0].query) == (0, {"format": "markdown"})
    assert (tmp_path / name / "deep" / "b.md").read_text() == "# B"
    assert result.stdout == f"Exported 2 notes to {tmp_path / name}.\n"


def test_a_folder_with_something_in_it_is_left_alone(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Only --force writes among what is there already."""
    (tmp_path / "mine.md").write_text("mine")
    daemon.answers["GET", "/v1/export"] = Answer(200, archive(**{"mine.md": b"new"}))

    assert command_line.run("export", str(tmp_path)).exit_code == 4
    assert (tmp_path / "mine.md").read_text() == "mine"
    assert command_line.run("export", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "mine.md").read_text() == "new"


def test_an_archive_cannot_write_outside_its_folder(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Names that lead out of the folder end the export."""
    daemon.answers["GET", "/v1/export"] = Answer(200, archive(**{"../out.md": b"x"}))

    result = command_line.run("export", str(tmp_path / "notes") + "/")

    assert result.exit_code == 1
    assert not (tmp_path / "out.md").exists()


def test_a_backup_is_private_and_exact(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """The backup holds the bytes of the answer; its size is told."""
    content = bytes(range(256)) * 1000
    daemon.answers["GET", "/v1/backup"] = Answer(200, content)
    file = tmp_path / "graph.backup"

    assert command_line.json("backup", str(file)) == {
        "path": str(file),
        "bytes": 256_000,
    }
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_is_missing_is_told(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """A file that cannot be made is one sentence, not a traceback."""
    daemon.answers["GET", "/v1/backup"] = Answer(200, b"content")

    result = command_line.run("backup", str(tmp_path / "no" / "graph.backup"))

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No such file or directory: ")
