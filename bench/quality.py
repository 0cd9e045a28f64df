"""How good search is on real texts: `python -m bench.quality [FOLDER]`.

Takes the folder `data` of the shared material (default `../shared/data`), says what of
it is absent, and measures with a real daemon and the real model:

- 5,027 statements imported and embedded, statements per second;
- ten questions, chosen before anybody looked at what they find, by meaning;
- recall@20 of the vector index against exact search with the model's own floats;
- questions of 77 intents: how many of the ten best have the intent that is asked for,
  by words, by meaning and by both.

The results of the ten questions are printed; documents carry figures only.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from bench.process import DaemonProcess
from bench.report import machine
from consensus.model_folder import find_model
from crdt.closeness import from_bytes, quantise, resonances
from crdt.meaning_reader import CANDIDATES
from crdt.sign_index import SignIndex
from daemon.setup import initialise

STATEMENTS: Final = "polis_comments.jsonl"
INTENTS: Final = "banking77_test.jsonl"
QUESTIONS: Final = (
    "people sleeping in the streets",
    "cheaper homes for young families",
    "cars should make way for cyclists",
    "schools need better pay for teachers",
    "who pays for the doctor",
    "protecting animals and forests",
    "the internet is too slow here",
    "guns and safety",
    "what the mayor does with our taxes",
    "let visitors come to our town",
)
"""Chosen before anybody had read the statements."""
_MODES: Final = ("text", "vector", "hybrid")
_AT_ONCE: Final = 200
_TEN: Final = 10
_ASKED: Final = 770
"""Texts with an intent that are asked for, spread evenly over the file."""
_NEAR: Final = 20


def main() -> int:
    """Measure and print, a line of JSON each; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality")
    parser.add_argument("folder", nargs="?", type=Path, default="../shared/data")
    folder: Path = parser.parse_args().folder
    sys.stdout.write(machine() + "\n")
    if find_model(None, os.environ) is None:
        _tell("model", absent="'make meaning' installs it")
        return 1
    for name, measure in ((STATEMENTS, _statements), (INTENTS, _intents)):
        path = folder / name
        if not path.is_file():
            _tell(name, absent=str(path))
            continue
        with TemporaryDirectory(prefix="fractality-quality-") as scratch:
            home = Path(scratch) / "home"
            initialise(home, "quality", "key-file", None)
            with DaemonProcess(home, embeddings=True) as daemon:
                measure(daemon, _rows(path))
    return 0


def _statements(daemon: DaemonProcess, rows: list[dict[str, Any]]) -> None:
    nodes = [
        {
            "key": f"{row['conversation']}/{row['comment']}",
            "label": row["text"][:1000],
            "type": "statement",
        }
        for row in rows
    ]
    _embed(daemon, "statements", nodes)
    for question in QUESTIONS:
        hits = _search(daemon, question, "vector", 3)
        _tell(
            "question",
            question=question,
            hits=[(round(hit["resonance"], 2), hit["node"]["label"]) for hit in hits],
        )
    _recall([node["label"] for node in nodes])


def _intents(daemon: DaemonProcess, rows: list[dict[str, Any]]) -> None:
    nodes = [
        {"key": str(number), "label": row["text"], "type": "question"}
        for number, row in enumerate(rows)
    ]
    _embed(daemon, "questions with intents", nodes)
    asked = range(0, len(rows), max(1, len(rows) // _ASKED))
    for mode in _MODES:
        shares: list[float] = []
        first = 0
        started = time.perf_counter()
        for number in asked:
            hits = _search(daemon, rows[number]["text"], mode, _TEN + 1)
            found = [
                rows[int(hit["node"]["key"])]["intent"] == rows[number]["intent"]
                for hit in hits
                if hit["node"]["key"] != str(number)
            ][:_TEN]
            shares.append(sum(found) / _TEN)
            first += bool(found) and found[0]
        _tell(
            "right intent",
            mode=mode,
            asked=len(asked),
            in_ten=round(sum(shares) / len(shares), 3),
            first=round(first / len(asked), 3),
            milliseconds=round((time.perf_counter() - started) / len(asked) * 1000, 1),
        )


def _embed(daemon: DaemonProcess, what: str, nodes: Sequence[dict[str, Any]]) -> None:
    """Import nodes and wait until all are embedded."""
    started = time.perf_counter()
    lines = (json.dumps({"op": "put_node", **node}).encode() + b"\n" for node in nodes)
    done = daemon.stream("/v1/batch", _chunks(lines))
    imported = time.perf_counter()
    while (state := daemon.ask("GET", "/v1/status")["embeddings"])["queued"]:
        if state["state"] == "waiting":
            message = str(state["cause"])
            raise RuntimeError(message)
        time.sleep(0.2)
    seconds = time.perf_counter() - imported
    _tell(
        what,
        applied=done["applied"],
        import_seconds=round(imported - started, 2),
        embed_seconds=round(seconds, 1),
        texts_per_second=round(len(nodes) / seconds, 1),
    )


def _recall(texts: Sequence[str]) -> None:
    """Compare the index, with several numbers of candidates, to an exact search."""
    # Only measuring looks behind the process that embeds.
    from sentence_transformers import SentenceTransformer

    folder = find_model(None, os.environ)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    exact = model.encode(
        list(texts), normalize_embeddings=True, show_progress_bar=False
    )
    vectors = quantise(exact).tobytes()
    rows = from_bytes(vectors)
    signs = SignIndex()
    signs.put(range(len(texts)), vectors)
    states = b"\x01" * len(texts)
    asked = range(0, len(texts), max(1, len(texts) // 250))
    for count in (50, 100, 200, CANDIDATES):
        hits = 0
        for number in asked:
            near = exact @ exact[number]
            best = set(np.argsort(-near)[:_NEAR].tolist())
            one = rows[number].tobytes()
            found = signs.candidates(one, states, count)
            ranked = resonances(rows[found], one)
            hits += len(best & {found[at] for at in np.argsort(-ranked)[:_NEAR]})
        recall = hits / (len(asked) * _NEAR)
        _tell("recall@20", texts=len(texts), candidates=count, recall=round(recall, 4))


def _search(
    daemon: DaemonProcess, question: str, mode: str, limit: int
) -> list[dict[str, Any]]:
    path = f"/v1/search?q={quote(question[:1000])}&mode={mode}&limit={limit}"
    hits: list[dict[str, Any]] = daemon.ask("GET", path)
    return hits


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == _AT_ONCE:
            yield b"".join(chunk)
            chunk = []
    yield b"".join(chunk)


def _tell(what: str, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **figures}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
