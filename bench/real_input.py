"""Real notes and real statements through a real daemon, and back without loss.

`python -m bench.real_input [FOLDER]` takes the folder `data` of the shared material
(default `../shared/data`), says what of it is absent, and prints figures only. It
imports a folder of notes and a file of statements, searches and walks them, exports
everything, imports that into a second daemon and compares the two graphs.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.process import DaemonProcess
from daemon.cli.folder import find_notes
from daemon.setup import initialise

_STATEMENTS: Final = "polis_comments.jsonl"
_NOTES: Final = "vault"
_LABEL_CHARACTERS: Final = 1000
_CHUNK_BYTES: Final = 64 * 1024


def main() -> int:
    """Run it and return the exit status: 1 if the second graph is not the first."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_input")
    parser.add_argument("folder", nargs="?", type=Path, default="../shared/data")
    folder: Path = parser.parse_args().folder
    with TemporaryDirectory(prefix="fractality-real-") as scratch:
        homes = [Path(scratch) / name for name in ("first", "second")]
        for home in homes:
            initialise(home, "real input", "key-file", None)
        with DaemonProcess(homes[0]) as first, DaemonProcess(homes[1]) as second:
            _take_in(first, folder)
            _look_around(first)
            for name in ("jsonl", "markdown", "graphml"):
                _tell(f"export as {name}", bytes=len(_export(first, name)))
            done = second.stream(
                "/v1/import?format=jsonl", _chunks(_export(first, "jsonl"))
            )
            # Digests are keyed with a secret of each space; the exports tell all.
            is_equal = _lines(first) == _lines(second)
            _tell("imported again", **done, is_equal=is_equal)
    return 0 if is_equal else 1


def _take_in(daemon: DaemonProcess, folder: Path) -> None:
    if (folder / _NOTES).is_dir():
        notes = find_notes(folder / _NOTES)
        _import(daemon, "notes", "markdown", notes.stream())
    else:
        _tell("notes", absent=str(folder / _NOTES))
    if (folder / _STATEMENTS).is_file():
        _import(daemon, "statements", "jsonl", _statements(folder / _STATEMENTS))
    else:
        _tell("statements", absent=str(folder / _STATEMENTS))
    space = _space(daemon)
    _tell("graph", nodes=space["nodes"], edges=space["edges"])


def _import(
    daemon: DaemonProcess, what: str, name: str, chunks: Iterable[bytes]
) -> None:
    started = time.perf_counter()
    done = daemon.stream(f"/v1/import?format={name}", chunks)
    _tell(what, **done, seconds=round(time.perf_counter() - started, 2))


def _statements(path: Path) -> Iterator[bytes]:
    """Yield each statement as a node, with its author and conversation as edges."""
    known: set[str] = set()

    def node(key: str, **fields: Any) -> bytes:
        if key in known:
            return b""
        known.add(key)
        return _line({"key": key, **fields})

    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            conversation = f"polis/{row['conversation']}"
            author = f"{conversation}/author/{row['author']}"
            statement = f"{conversation}/{row['comment']}"
            yield b"".join(
                (
                    node(conversation, label=row["conversation"], type="conversation"),
                    node(author, label=f"author {row['author']}", type="author"),
                    node(
                        statement,
                        label=row["text"][:_LABEL_CHARACTERS],
                        type="statement",
                        metadata={"moderated": row["moderated"]},
                    ),
                    _line({"from": author, "to": statement, "type": "said"}),
                    _line({"from": statement, "to": conversation, "type": "part-of"}),
                )
            )


def _look_around(daemon: DaemonProcess) -> None:
    hits = daemon.ask("GET", "/v1/search?q=town&mode=text&limit=10")
    statements = daemon.ask("GET", "/v1/nodes?type=statement&limit=2")["items"]
    notes = daemon.ask("GET", "/v1/nodes?type=note&limit=1")["items"]
    near = [
        len(
            daemon.ask(
                "GET", f"/v1/edges?from={node['key']}&limit=1000".replace("+", "%2B")
            )["items"]
        )
        for node in (*statements, *notes)
    ]
    _tell("looked around", search_hits=len(hits), edges_of_some=near)


def _export(daemon: DaemonProcess, name: str) -> bytes:
    return daemon.fetch(f"/v1/export?format={name}")


def _lines(daemon: DaemonProcess) -> list[bytes]:
    return sorted(_export(daemon, "jsonl").splitlines())


def _space(daemon: DaemonProcess) -> Any:
    return daemon.ask("GET", "/v1/status")["spaces"][0]


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield content[start : start + _CHUNK_BYTES]


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _tell(what: str, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
