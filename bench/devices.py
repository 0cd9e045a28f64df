"""Cases of several devices: real daemons, real links on the loopback interface."""

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.generator import Vocabulary, batch_lines
from bench.process import PROGRAM, DaemonProcess
from bench.report import Figure, spread
from daemon.setup import initialise

_EDITS: Final = 200
_EDITS_A_SECOND: Final = 20
_OFFLINE_EDITS: Final = 1_000
_MESH: Final = 8
_IDLE_LINKS: Final = 3
_IDLE_SECONDS: Final = 30
_PATIENCE_SECONDS: Final = 180.0
_MEGABYTE: Final = 1_000_000


def measure_devices(seed: int) -> Iterator[Figure]:
    """Yield all figures of several devices."""
    with TemporaryDirectory(prefix="fractality-bench-") as folder:
        yield from _live_and_apart(Path(folder), seed)
    for nodes in (10_000, 100_000):
        with TemporaryDirectory(prefix="fractality-bench-") as folder:
            yield from _first_sync(Path(folder), nodes, seed)
    with TemporaryDirectory(prefix="fractality-bench-") as folder:
        yield from _mesh(Path(folder), seed)
    with TemporaryDirectory(prefix="fractality-bench-") as folder:
        yield from _idle(Path(folder))


def pair(inviter: DaemonProcess, home: Path) -> None:
    """Make `home` another device of the person of a running daemon."""
    invitation = inviter.ask("POST", "/v1/pairing", {})
    joined = subprocess.run(
        (
            *PROGRAM, "--home", str(home), "--json", "join", invitation["code"],
            "--at", f"127.0.0.1:{inviter.peer_port}", "--name", home.name, "--key-file",
        ),
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if joined.returncode:
        message = f"pairing failed: {joined.stdout}{joined.stderr}"
        raise RuntimeError(message)


def wait_until(condition: Callable[[], object], *, every: float = 0.01) -> float:
    """Return how many seconds it took until `condition` was true."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > _PATIENCE_SECONDS:
            message = "what was waited for did not come"
            raise TimeoutError(message)
        time.sleep(every)
    return time.perf_counter() - started


def space(daemon: DaemonProcess) -> Any:
    """Return the status of the person's space."""
    return daemon.ask("GET", "/v1/status")["spaces"][0]


def in_step(daemons: Sequence[DaemonProcess]) -> bool:
    """Whether every daemon says that all devices hold and show the same."""
    spaces = [space(each) for each in daemons]
    return len({each["digest"] for each in spaces}) == 1 and all(
        each["state"] == "synced" and len(each["devices"]) == len(daemons) - 1
        for each in spaces
    )


def _live_and_apart(folder: Path, seed: int) -> Iterator[Figure]:
    with _two(folder) as (laptop, phone):
        wait_until(lambda: in_step((laptop, phone)))
        yield spread(
            f"edit here, visible there, {_EDITS_A_SECOND} edits/s",
            0,
            "ms",
            _live_edits(laptop, phone, seed),
        )
        wait_until(lambda: in_step((laptop, phone)))
        yield _apart(laptop, phone, seed)
        phone.kill()
        seconds = _back_after_kill(laptop, phone)
        yield Figure("linked again after kill -9 of one side", 0, "s", seconds)


def _live_edits(laptop: DaemonProcess, phone: DaemonProcess, seed: int) -> list[float]:
    """Return how many milliseconds each edit took from here to the API there."""
    dice, words = random.Random(seed), Vocabulary(seed)
    seen: dict[str, float] = {}
    everything = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(phone, seen, everything), daemon=True
    )
    watcher.start()
    sent: dict[str, float] = {}
    begun = time.perf_counter()
    for number in range(_EDITS):
        time.sleep(max(0.0, begun + number / _EDITS_A_SECOND - time.perf_counter()))
        name = f"live-{number}"
        sent[name] = time.perf_counter()
        laptop.ask("PUT", f"/v1/nodes/{name}", {"label": words.sentence(dice)})
    everything.wait(_PATIENCE_SECONDS)
    return [(seen[name] - moment) * 1000 for name, moment in sent.items()]


def _watch(
    phone: DaemonProcess, seen: dict[str, float], everything: threading.Event
) -> None:
    for line in phone.follow("/v1/events"):
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if str(event.get("key", "")).startswith("live-"):
                seen.setdefault(event["key"], time.perf_counter())
        if len(seen) == _EDITS:
            everything.set()
            return


def _apart(laptop: DaemonProcess, phone: DaemonProcess, seed: int) -> Figure:
    """Let both edit apart, then link them."""
    words = Vocabulary(seed)
    for daemon in (laptop, phone):
        daemon.ask("POST", "/v1/sync", {"paused": True})
    for name, daemon in (("laptop", laptop), ("phone", phone)):
        dice = random.Random(f"{name} {seed}")
        lines = (
            json.dumps(
                {
                    "op": "put_node",
                    "key": f"apart-{dice.randrange(_OFFLINE_EDITS)}",
                    "label": words.sentence(dice),
                }
            )
            + "\n"
            for _ in range(_OFFLINE_EDITS)
        )
        daemon.stream("/v1/batch", (line.encode() for line in lines))
    for daemon in (laptop, phone):
        daemon.ask("POST", "/v1/sync", {"paused": False})
    wait_until(lambda: _is_linked(laptop))
    seconds = wait_until(lambda: in_step((laptop, phone)))
    name = f"{_OFFLINE_EDITS} edits on each side apart, in step after link"
    return Figure(name, 0, "s", seconds)


def _is_linked(daemon: DaemonProcess) -> bool:
    return any(each["online"] for each in space(daemon)["devices"])


def _back_after_kill(laptop: DaemonProcess, phone: DaemonProcess) -> float:
    """Start the killed one again; return the seconds until both are in step."""
    with phone:
        started = time.perf_counter()
        laptop.ask("PUT", "/v1/nodes/while-away", {"label": "written meanwhile"})
        wait_until(lambda: in_step((laptop, phone)))
        return time.perf_counter() - started


def _first_sync(folder: Path, nodes: int, seed: int) -> Iterator[Figure]:
    with _initialised(folder / "laptop") as laptop:
        laptop.stream("/v1/batch", batch_lines(nodes, seed))
        time.sleep(2)  # what follows an import, upkeep, is not what is measured
        pair(laptop, folder / "phone")
        started = time.perf_counter()
        with DaemonProcess(folder / "phone") as phone:
            wait_until(lambda: in_step((laptop, phone)))
            seconds = time.perf_counter() - started - phone.start_seconds
            yield Figure(
                "first sync to a new device, both durable", nodes, "s", seconds
            )
            resident = phone.metric("resident_bytes") / _MEGABYTE
            yield Figure(
                "RSS of the new device after first sync", nodes, "MB", resident
            )


def _mesh(folder: Path, seed: int) -> Iterator[Figure]:
    dice, words = random.Random(seed), Vocabulary(seed)
    with _group(folder, _MESH) as daemons:
        for daemon in daemons:
            for _ in range(20):
                daemon.ask(
                    "PUT",
                    f"/v1/nodes/mesh-{dice.randrange(60)}",
                    {"label": words.sentence(dice)},
                )
        seconds = wait_until(lambda: in_step(daemons), every=0.05)
        yield Figure(f"{_MESH} devices, 20 edits on each, in step", 0, "s", seconds)


def _idle(folder: Path) -> Iterator[Figure]:
    with _group(folder, _IDLE_LINKS + 1) as daemons:
        time.sleep(5)
        before = daemons[0].processor_seconds()
        time.sleep(_IDLE_SECONDS)
        share = (daemons[0].processor_seconds() - before) / _IDLE_SECONDS * 100
        yield Figure(f"idle with {_IDLE_LINKS} links, of a core", 0, "%", share)
        resident = daemons[0].metric("resident_bytes") / _MEGABYTE
        yield Figure(f"idle with {_IDLE_LINKS} links, RSS", 0, "MB", resident)


@contextmanager
def _group(folder: Path, count: int) -> Iterator[list[DaemonProcess]]:
    """Run devices of one person that are in step."""
    with ExitStack() as open_daemons:
        daemons = [open_daemons.enter_context(_initialised(folder / "device-0"))]
        for number in range(1, count):
            home = folder / f"device-{number}"
            pair(daemons[0], home)
            daemons.append(open_daemons.enter_context(DaemonProcess(home)))
        wait_until(lambda: in_step(daemons), every=0.2)
        yield daemons


@contextmanager
def _two(folder: Path) -> Iterator[tuple[DaemonProcess, DaemonProcess]]:
    """Run two devices of one person; the second may be killed by the case."""
    with _initialised(folder / "laptop") as laptop:
        pair(laptop, folder / "phone")
        phone = DaemonProcess(folder / "phone")
        phone.__enter__()
        yield laptop, phone


def _initialised(home: Path) -> DaemonProcess:
    initialise(home, home.name, "key-file", None)
    return DaemonProcess(home)
