"""Commands that carry whole graphs in and out: import, export, backup."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import click

from crdt.errors import ConflictError
from daemon.cli.exits import Exit
from daemon.cli.folder import Notes, find_notes, unpack
from daemon.cli.output import print_json
from daemon.cli.progress import Progress, counted, progress
from daemon.cli.session import Session, pass_session
from daemon.cli.text import many, safe_line, size
from daemon.client import Answer, AnswerError, Client, Document

_CHUNK_BYTES: Final = 64 * 1024
_FAILURES_SHOWN: Final = 20
_FORMATS: Final = {".jsonl": "jsonl", ".graphml": "graphml", ".tar": "markdown"}
_CONTENT_TYPES: Final = {
    "jsonl": "application/x-ndjson",
    "graphml": "application/xml",
    "markdown": "application/x-tar",
}
_FORMAT_HELP: Final = "a .jsonl, .graphml or .tar file, or a folder of Markdown notes"


def _format_of(path: Path) -> str:
    """Return the format that the name of a file tells, or raise a usage error."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        text = f"{safe_line(path)} is not {_FORMAT_HELP}."
        raise click.BadParameter(text) from None


@dataclass(slots=True)
class _Outcome:
    """What the daemon told of an import."""

    applied: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    """The first of them, as text."""
    ended: bool = False

    def take(self, told: Document) -> None:
        """Take in one line of the answer."""
        if "problem" in told:
            if len(self.failures) < _FAILURES_SHOWN:
                self.failures.append(_failure(told))
        elif "progress" in told:
            self.applied = told["progress"]["applied"]
        elif told.get("done"):
            self.applied, self.failed = told["applied"], told["failed"]
            self.ended = True


def _failure(told: Document) -> str:
    """Return one failure as text: where, what."""
    where = f"line {told['line']}" if "line" in told else told.get("item", "an item")
    problem = told["problem"]
    what = problem.get("detail") or problem["title"]
    named = f"{problem['field']}: " if problem.get("field") else ""
    return safe_line(f"{where}: {named}{what}")


@click.command("import", short_help="Take in a file or a folder of notes.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@pass_session
def import_file(session: Session, path: Path) -> None:
    """Take in PATH: a .jsonl, .graphml or .tar file, or a folder of Markdown notes.

    What is there already under the same keys is replaced. Ends with status 1 if
    some of it could not be taken in; the rest is.
    """
    notes = find_notes(path) if path.is_dir() else None
    file_format = "markdown" if notes else _format_of(path)
    total = notes.archive_bytes if notes else path.stat().st_size
    outcome = _Outcome()
    with progress("Importing", total) as shown:
        chunks = counted(notes.stream() if notes else _chunks(path), shown)
        with session.client().upload(
            "/v1/import",
            chunks,
            content_type=_CONTENT_TYPES[file_format],
            query={"format": file_format},
        ) as answer:
            for line in answer.lines():
                outcome.take(json.loads(line))
                shown.done(outcome.applied)
                if session.as_json:
                    click.echo(line)
    if not outcome.ended:
        raise AnswerError(
            f"The daemon stopped after {many(outcome.applied, 'item')}; these are"
            " safe. Import again: what is there already is not added twice."
        )
    if not session.as_json:
        _print_outcome(outcome, notes)
    if outcome.failed or (notes and notes.unreadable):
        click.get_current_context().exit(Exit.FAILED)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _print_outcome(outcome: _Outcome, notes: Notes | None) -> None:
    failed = f", {outcome.failed:,} failed" if outcome.failed else ""
    click.echo(f"Imported {many(outcome.applied, 'item')}{failed}.")
    if notes and notes.left_out:
        click.echo(f"Left out {many(notes.left_out, 'file')} of other kinds.")
    lines = [*outcome.failures, *(notes.unreadable if notes else ())]
    for line in lines[:_FAILURES_SHOWN]:
        click.echo(f"  {safe_line(line)}", err=True)
    if outcome.failed > _FAILURES_SHOWN:
        click.echo(f"  … and {outcome.failed - _FAILURES_SHOWN:,} more", err=True)


@click.command(short_help="Write everything to a file or a folder.")
@click.argument("path", metavar="PATH")
@click.option("--force", is_flag=True, help="Replace what is there.")
@pass_session
def export(session: Session, path: str, *, force: bool) -> None:
    """Write the whole graph to PATH, readable by anyone: it is not encrypted.

    The suffix decides: .jsonl (complete), .graphml, .tar (Markdown notes). A path
    that ends in / or is a folder becomes a folder of Markdown notes.
    """
    target = Path(path)
    client = session.client()
    if path.endswith(os.sep) or target.is_dir():
        _export_folder(session, client, target, force=force)
        return
    query = {"format": _format_of(target)}
    _refuse_existing(target, force=force)
    with client.stream("/v1/export", query) as answer:
        written = _save(answer, target, "Exporting")
    _print_saved(session, target, written, "Exported to")


def _export_folder(
    session: Session, client: Client, folder: Path, *, force: bool
) -> None:
    if not force and folder.is_dir() and any(folder.iterdir()):
        text = (
            f"{folder} is not empty; nothing was written. Use --force to write there."
        )
        raise ConflictError(text)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        client.stream("/v1/export", {"format": "markdown"}) as answer,
        progress("Exporting", answer.size) as shown,
    ):
        count = unpack(_Shown(answer, shown), folder)
    if session.as_json:
        print_json({"path": str(folder), "files": count})
        return
    click.echo(f"Exported {many(count, 'note')} to {safe_line(folder)}.")


@dataclass(frozen=True, slots=True)
class _Shown:
    """An answer whose reading is shown as progress."""

    answer: Answer
    progress: Progress

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes."""
        content = self.answer.read(count)
        self.progress.moved(len(content))
        return content


@click.command(short_help="Write an encrypted backup.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@pass_session
def backup(session: Session, file: Path, *, force: bool) -> None:
    """Write an encrypted backup of this device to FILE.

    It opens with the 24 words only: `fractality restore FILE`.
    """
    client = session.client()
    _refuse_existing(file, force=force)
    with client.stream("/v1/backup") as answer:
        written = _save(answer, file, "Backing up")
    _print_saved(session, file, written, "Backed up to")


def _refuse_existing(target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        text = (
            f"{target} exists already and was left as it is. Use --force to replace it."
        )
        raise ConflictError(text)


def _save(answer: Answer, target: Path, title: str) -> int:
    """Write an answer to `target`, which appears when it is complete and on disk.

    Only its owner may read the file (mode 0600). Returns the number of bytes.
    """
    written = 0
    with _new_file(target) as file, progress(title, answer.size) as shown:
        while chunk := answer.read(_CHUNK_BYTES):
            written += file.write(chunk)
            shown.moved(len(chunk))
    return written


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `target` that takes its place at the end, or is removed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _print_saved(session: Session, target: Path, written: int, verb: str) -> None:
    if session.as_json:
        print_json({"path": str(target), "bytes": written})
        return
    click.echo(f"{verb} {safe_line(target)} ({size(written)}).")
