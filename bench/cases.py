"""The cases: each takes a daemon, or the open store, and yields figures."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from bench.generator import Vocabulary, batch_lines, key
from bench.process import DaemonProcess
from bench.report import Figure, spread
from crdt.database import Database
from crdt.graph_index import VISIBLE
from crdt.graph_reader import GraphReader
from crdt.index_store import load_index
from crdt.traversal import nearby
from daemon.setup import initialise, open_key

Item = TypeVar("Item")

_MEGABYTE: Final = 1_000_000
_READS: Final = 2_000
_WRITES: Final = 300
_SEARCHES: Final = 100
_PATHS: Final = 20
_IN_PROCESS: Final = 20_000


def measure(home: Path, nodes: int, seed: int) -> Iterator[Figure]:
    """Yield the figures of a graph of `nodes` nodes in a new home."""
    initialise(home, "bench", "key-file", None)
    with DaemonProcess(home) as daemon:
        yield from _import(daemon, nodes, seed)
        yield from _requests(daemon, nodes, seed)
    yield Figure("stop", nodes, "s", daemon.stop_seconds)
    with DaemonProcess(home) as daemon:
        yield Figure("cold start to first answer", nodes, "s", daemon.start_seconds)
        yield Figure("RSS after start", nodes, "MB", _resident(daemon))
    yield Figure("disk", nodes, "MB", _disk(home))
    yield from _in_process(home, nodes, seed)


def _import(daemon: DaemonProcess, nodes: int, seed: int) -> Iterator[Figure]:
    started = time.perf_counter()
    done = daemon.stream("/v1/batch", batch_lines(nodes, seed))
    seconds = time.perf_counter() - started
    if done["failed"]:
        message = f"{done['failed']} lines of the batch failed"
        raise RuntimeError(message)
    yield Figure("import by batch", nodes, "s", seconds)
    yield Figure("import by batch", nodes, "commands/s", done["applied"] / seconds)
    stall = daemon.metric("event_loop_longest_stall_seconds")
    yield Figure("longest stall of the event loop", nodes, "ms", stall * 1000)
    _settle(daemon)
    yield Figure("RSS after import", nodes, "MB", _resident(daemon))


def _requests(daemon: DaemonProcess, nodes: int, seed: int) -> Iterator[Figure]:
    dice = random.Random(f"requests {seed}")
    vocabulary = Vocabulary(seed)

    def node() -> str:
        return key(dice.randrange(nodes))

    def word() -> str:
        return dice.choice(vocabulary.words)

    def put_new() -> None:
        path = f"/v1/nodes/new-{dice.getrandbits(64):x}"
        daemon.ask("PUT", path, {"label": vocabulary.sentence(dice)})

    def put_old() -> None:
        label = vocabulary.sentence(dice)
        daemon.ask("PUT", f"/v1/nodes/{node()}", {"label": label})

    def find_path() -> None:
        daemon.ask("GET", f"/v1/path?from={node()}&to={node()}")

    def search() -> None:
        daemon.ask("GET", f"/v1/search?q={quote(f'{word()} {word()}')}&mode=text")

    def search_one() -> None:
        daemon.ask("GET", f"/v1/search?q={quote(word())}&mode=text")

    cases: tuple[tuple[str, int, Callable[[], object]], ...] = (
        ("durable write of a new node by HTTP", _WRITES, put_new),
        ("durable change of a node by HTTP", _WRITES, put_old),
        (
            "read by key by HTTP",
            _READS,
            lambda: daemon.ask("GET", f"/v1/nodes/{node()}"),
        ),
        (
            "neighbours by HTTP",
            _READS,
            lambda: daemon.ask("GET", f"/v1/nodes/{node()}/neighbours"),
        ),
        ("path by HTTP", _PATHS, find_path),
        ("text search, one word", _SEARCHES, search_one),
        ("text search, two words", _SEARCHES, search),
    )
    for name, count, case in cases:
        yield spread(name, nodes, "ms", _timed(case, count, 1000))


def _in_process(home: Path, nodes: int, seed: int) -> Iterator[Figure]:
    dice = random.Random(f"in process {seed}")
    keys = [key(dice.randrange(nodes)) for _ in range(_IN_PROCESS)]
    with Database(home, open_key(home, None).key) as database:
        index = load_index(database.writer)
        with GraphReader(database, index) as reader:

            def walk(start: str) -> None:
                for _ in nearby(index, index.keys.number(start), depth=3):
                    pass

            def neighbours(number: int) -> None:
                index.edges.linked(number, index.states, VISIBLE)

            by_key: tuple[tuple[str, Callable[[str], object]], ...] = (
                ("read by key in process", reader.node),
                ("neighbours by key in process", index.neighbours),
                ("walk of 3 steps in process", walk),
            )
            for name, case in by_key:
                yield spread(name, nodes, "us", _timed_with(case, keys))
            numbers = list(map(index.keys.number, keys))
            values = _timed_with(neighbours, numbers)
            yield spread("neighbours by number in process", nodes, "us", values)


def _timed(case: Callable[[], object], count: int, scale: float) -> list[float]:
    """Return how long each of `count` calls took, in seconds times `scale`."""
    values = []
    for _ in range(count):
        started = time.perf_counter()
        case()
        values.append((time.perf_counter() - started) * scale)
    return values


def _timed_with(case: Callable[[Item], object], items: Sequence[Item]) -> list[float]:
    """Return how many microseconds a call took with each item."""
    upcoming = iter(items)
    return _timed(lambda: case(next(upcoming)), len(items), 1e6)


def _settle(daemon: DaemonProcess) -> None:
    """Wait until the daemon has tidied up: its memory does not change any more."""
    before = -1.0
    while before != (now := _resident(daemon)):
        before = now
        time.sleep(1.0)


def _resident(daemon: DaemonProcess) -> float:
    return daemon.metric("resident_bytes") / _MEGABYTE


def _disk(home: Path) -> float:
    return sum(path.stat().st_size for path in home.iterdir()) / _MEGABYTE
