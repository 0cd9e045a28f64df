"""Twelve persons in one circle, as real processes: `python -m bench.twelve [FOLDER]`.

Takes the statements of the folder `data` of the shared material (default
`../shared/data`), says if they are absent, and lets twelve persons publish them, so
many each. Results must be equal on all devices at first, after a part of them was cut
off, after one was removed, and after one came late; the exit status tells. The vectors
are the real model's, worked out once for all daemons.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.known_model import PROGRAM, VECTORS, Known, write_known
from bench.process import DaemonProcess
from bench.report import machine
from bench.resonance import embed, published, read_rows
from consensus.model_folder import find_model, folder_tag
from crdt.closeness import quantise
from daemon.setup import initialise

STATEMENTS: Final = "polis_comments.jsonl"
PERSONS: Final = 12
CUT_OFF: Final = 4
_PATIENCE_SECONDS: Final = 900.0
_POLL_SECONDS: Final = 0.2


def main() -> int:
    """Let them talk; print a line of JSON for each part; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.twelve")
    parser.add_argument("folder", nargs="?", type=Path, default="../shared/data")
    parser.add_argument("--statements", type=int, default=None)
    arguments = parser.parse_args()
    sys.stdout.write(machine() + "\n")
    path = arguments.folder / STATEMENTS
    model = find_model(None, os.environ)
    if not path.is_file() or model is None:
        _tell("twelve persons", absent=str(path if model else "make meaning"))
        return 0 if model else 1
    texts = list(dict.fromkeys(published(row["text"]) for row in read_rows(path)))
    texts = texts[: arguments.statements]
    with TemporaryDirectory(prefix="fractality-bench-") as folder, ExitStack() as stack:
        vectors = Path(folder, "vectors")
        write_known(vectors, _known(model, texts))
        variables = {VECTORS: str(vectors), "FRACTALITY_MODEL": folder}
        persons = [
            stack.enter_context(_person(Path(folder, f"person{number}"), variables))
            for number in range(PERSONS)
        ]
        said = [texts[number::PERSONS] for number in range(PERSONS)]
        return 0 if _run(persons, said) else 1


def _known(model: Path, texts: Sequence[str]) -> Known:
    """Return what the real model makes of texts."""
    tag = folder_tag(model)
    if tag is None:
        message = "the model has no tag"
        raise LookupError(message)
    vectors = quantise(embed(model, texts))
    return Known(
        tag, {text: row.tobytes() for text, row in zip(texts, vectors, strict=True)}
    )


def _person(home: Path, variables: dict[str, str]) -> DaemonProcess:
    initialise(home, home.name, "key-file", None)
    return DaemonProcess(home, embeddings=True, program=PROGRAM, variables=variables)


@dataclass
class _Circle:
    """A circle, those in it, and how much stands in it."""

    route: str
    members: list[DaemonProcess] = field(default_factory=list)
    said: int = 0

    def invite(self, person: DaemonProcess) -> None:
        """Let the founder invite somebody."""
        ticket = self.members[0].ask("POST", f"{self.route}/invites", {})["ticket"]
        person.ask("POST", "/v1/circles/join", {"ticket": ticket})
        self.members.append(person)

    def say(self, person: DaemonProcess, texts: Sequence[str]) -> None:
        """Publish texts, each as a node of its own."""
        keys = [f"said{self.said + number}" for number in range(len(texts))]
        lines = [
            json.dumps({"op": "put_node", "key": key, "label": text}).encode() + b"\n"
            for key, text in zip(keys, texts, strict=True)
        ]
        person.stream("/v1/batch", lines)
        _wait(lambda: person.ask("GET", "/v1/status")["embeddings"]["queued"] == 0)
        for key in keys:
            person.ask("PUT", f"{self.route}/contributions/{key}")
        self.said += len(keys)

    def results(self) -> set[tuple[int, str, str]]:
        """Return how many contributions, which set and which result members have."""
        found = set()
        for person in self.members:
            result = person.ask("GET", f"{self.route}/consensus?limit=1")
            told = person.ask("GET", self.route)
            count = told["counts"]["contributions"]
            found.add((count, told["fingerprint"], result["result_hash"]))
        return found

    def settle(self, what: str, started: float) -> bool:
        """Wait for one result; tell it; return whether it came."""

        def is_one() -> bool:
            found = self.results()
            return len(found) == 1 and {count for count, *_ in found} == {self.said}

        is_equal = _wait(is_one)
        results = {result for *_, result in self.results()}
        nodes = self.members[-1].ask("GET", f"{self.route}/consensus?limit=1000")
        _tell(
            what,
            members=len(self.members),
            contributions=self.said,
            nodes=len(nodes["items"]),
            different_results=len(results),
            hash=min(results),
            seconds=round(time.perf_counter() - started, 1),
        )
        return is_equal


def _run(persons: Sequence[DaemonProcess], said: Sequence[Sequence[str]]) -> bool:
    """Return whether all results were equal, every time."""
    *early, late = persons
    founder = early[0]
    founded = founder.ask("POST", "/v1/circles", {"name": "bench"})
    circle = _Circle(f"/v1/circles/{founded['id']}", [founder])
    for person in early[1:]:
        circle.invite(person)
    return all(_parts(circle, early, late, said))


def _parts(
    circle: _Circle,
    early: Sequence[DaemonProcess],
    late: DaemonProcess,
    said: Sequence[Sequence[str]],
) -> Iterator[bool]:
    """Yield for each part of the run whether all results were equal."""
    halves = [(texts[::2], texts[1::2]) for texts in said]
    started = time.perf_counter()
    for person, (texts, _) in zip(early, halves, strict=False):
        circle.say(person, texts)
    yield circle.settle("all linked", started)

    started = time.perf_counter()
    _pause(early[-CUT_OFF:], is_paused=True)
    for person, (_, texts) in zip(early, halves, strict=False):
        circle.say(person, texts)
    _tell("some cut off", different_results=len(circle.results()))
    _pause(early[-CUT_OFF:], is_paused=False)
    yield circle.settle("linked again", started)

    started = time.perf_counter()
    removed = early[5]
    identity = removed.ask("GET", circle.route)["me"]
    early[0].ask("DELETE", f"{circle.route}/members/{identity}")
    circle.members.remove(removed)
    circle.said -= len(said[5])
    yield circle.settle("one removed", started)

    started = time.perf_counter()
    circle.invite(late)
    circle.say(late, said[-1])
    yield circle.settle("one came late", started)


def _pause(persons: Sequence[DaemonProcess], *, is_paused: bool) -> None:
    for person in persons:
        person.ask("POST", "/v1/sync", {"paused": is_paused})


def _wait(holds: Callable[[], bool]) -> bool:
    """Return whether something came to hold in time."""
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while not holds():
        if time.perf_counter() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _tell(what: str, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
