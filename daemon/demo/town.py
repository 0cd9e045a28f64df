"""Daemons of several persons on this machine: made, started, paired, ended.

Rule: everything lies in one folder, and whatever ends the context, also an error and
Ctrl-C, ends the processes and removes the folder, unless they were to be kept.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from crdt.errors import FractalityError
from daemon.client import Client, DaemonAbsentError, connect

PROGRAM: Final = (sys.executable, "-P", "-c", "from daemon.cli import main; main()")
_PREFIX: Final = "fractality-demo-"
_START_SECONDS: Final = 60.0
_STEP_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_LOG_END: Final = 2_000
_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StuckError(FractalityError):
    """Something that has to happen did not happen in time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One device of the town."""

    person: str
    name: str
    embeds: bool
    """Whether it finds out what texts mean; each that does runs the model."""


@dataclass(slots=True)
class Device:
    """A daemon that runs."""

    plan: Plan
    home: Path
    process: subprocess.Popen[bytes]
    client: Client
    peer_port: int
    is_paused: bool = False
    """Whether it was told to link with nobody."""

    @property
    def title(self) -> str:
        """Whose device it is, and which."""
        return f"{self.plan.person}'s {self.plan.name}"


class Town:
    """All devices, from entering to leaving."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self.devices: list[Device] = []
        self.is_kept = False
        """Whether daemons and homes outlive the context."""

    def __enter__(self) -> Self:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all processes and remove the folder."""
        if self.is_kept and error is None:
            return
        # Who is impatient and interrupts again must not stop the tidying up.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            self._end()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def found_person(self, plan: Plan) -> Device:
        """Make a person with one device, and start it."""
        home = self._home(plan)
        self._command(plan, home, "init", "--name", plan.name, "--yes", "--key-file")
        return self._start(plan, home)

    def add_device(self, plan: Plan, inviter: Device) -> Device:
        """Pair a new home with a device of the same person, and start it."""
        home = self._home(plan)
        code = inviter.client.call("POST", "/v1/pairing")["code"]
        place = f"127.0.0.1:{inviter.peer_port}"
        joining = ("join", code, "--at", place, "--name", plan.name, "--key-file")
        self._command(plan, home, *joining)
        return self._start(plan, home)

    def _home(self, plan: Plan) -> Path:
        return self.folder / f"{plan.person.lower()}-{plan.name}"

    def _command(self, plan: Plan, home: Path, *arguments: str) -> None:
        """Run a command of the program to its end."""
        ran = subprocess.run(  # noqa: S603  # our own program
            [*PROGRAM, "--home", str(home), "--json", *arguments],
            env=self._environment(plan),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_STEP_SECONDS,
        )
        if ran.returncode:
            message = f"`fractality {arguments[0]}` failed: {_detail(ran)}"
            raise StuckError(message)

    def _start(self, plan: Plan, home: Path) -> Device:
        """Start a daemon and wait until it serves."""
        flags = ("run", "--port", "0", "--peer-port", "0", "--no-discovery")
        log = home.with_suffix(".log")
        with log.open("ab") as written:
            process = subprocess.Popen(  # noqa: S603  # our own program
                [*PROGRAM, "--home", str(home), *flags],
                env=self._environment(plan),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        self._processes.append(process)

        def serving() -> Client | None:
            if process.poll() is not None:
                end = log.read_text(errors="replace")[-_LOG_END:]
                message = f"The daemon of {home} ended instead of serving: {end}"
                raise StuckError(message)
            try:
                return connect(home)
            except DaemonAbsentError:
                return None

        client = wait_for(serving, f"the daemon of {home}", _START_SECONDS)
        record = json.loads((home / "run.json").read_bytes())
        device = Device(plan, home, process, client, int(record["peer_port"]))
        self.devices.append(device)
        return device

    def _environment(self, plan: Plan) -> dict[str, str]:
        """Return an environment with no setting of the person who looks on."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FRACTALITY_")
        }
        return {
            **kept,
            "USER": plan.person,
            "TMPDIR": str(self.folder),
            "FRACTALITY_EMBEDDINGS": "true" if plan.embeds else "false",
        }

    def _end(self) -> None:
        """Ask all processes to end; kill those that do not."""
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(look: Callable[[], Any], what: str, seconds: float = _STEP_SECONDS) -> Any:
    """Return what `look` returns once it is something.

    Raises `StuckError` that names `what` after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            message = f"Waited {seconds:.0f} s in vain for {what}."
            raise StuckError(message)
        time.sleep(_POLL_SECONDS)
    return seen


def _detail(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that failed said."""
    try:
        return str(json.loads(ran.stdout)["detail"])
    except (ValueError, KeyError, TypeError):
        return (ran.stderr or ran.stdout)[-_LOG_END:].strip()
