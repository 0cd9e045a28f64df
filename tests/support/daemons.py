"""Real daemons: processes of their own, each in a home of its own, on free ports.

A daemon is waited for by the line it prints when it serves, never by the clock.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

from daemon.setup import InitResult, initialise
from tests.support.disks import Disk

PROGRAM: Final = Path(sys.executable).with_name("fractality")
STOP_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 120.0
_LOG_NAME: Final = "log.txt"


class NotServingError(Exception):
    """The daemon ended instead of serving; the text is what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"exit status {status}: {said}")
        self.status = status
        self.said = said


def environment(**more: str) -> dict[str, str]:
    """Return an environment without anything of the person who runs the tests.

    Embeddings are off, for their process takes seconds and a core, and the port for
    peers is any free one, for other daemons may run beside.
    """
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "USER": "ada",
        "FRACTALITY_EMBEDDINGS": "false",
        "FRACTALITY_PEER_PORT": "0",
        **more,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the API."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    content: bytes

    @property
    def document(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)

    @property
    def lines(self) -> list[Any]:
        """The content as lines of JSON."""
        return [json.loads(line) for line in self.content.splitlines()]


@dataclass(frozen=True, slots=True)
class Api:
    """Speaks to the API of one daemon; each request has a connection of its own."""

    port: int
    token: str

    def request(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        query: Mapping[str, object] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send `document` as JSON, or `content` as it is, and return the answer.

        `path` is sent as it is: see `node_path` for keys.
        """
        with closing(self.connect()) as connection:
            return self.exchange(
                connection,
                method,
                path + (f"?{urlencode(query)}" if query else ""),
                content if document is None else json.dumps(document).encode(),
                headers,
            )

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection for `exchange`, or for whatever a test does with it."""
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=_ANSWER_SECONDS
        )

    def exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection and return the whole answer."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        connection.request(method, target, content, sent)
        with connection.getresponse() as response:
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())

    def get(self, path: str, **query: object) -> Any:
        """Return the document that a GET answers with 200."""
        answer = self.request("GET", path, query=query)
        assert answer.status == 200, answer
        return answer.document

    def put_node(self, key: str, label: str = "", **fields: Any) -> Answer:
        """Create or replace a node; without a label it is labelled by its key."""
        document = {"label": label or key, **fields}
        return self.request("PUT", node_path(key), document)

    def put_edge(self, source: str, target: str, **fields: Any) -> Answer:
        """Create or replace an edge."""
        document = {"from": source, "to": target, **fields}
        return self.request("PUT", "/v1/edges", document)

    def batch(self, commands: Iterable[Any]) -> Answer:
        """Send commands as one batch."""
        lines = b"".join(json.dumps(each).encode() + b"\n" for each in commands)
        return self.request("POST", "/v1/batch", content=lines)

    def space(self) -> Any:
        """Return what the status says of the person's own space."""
        return self.get("/v1/status")["spaces"][0]

    def export(self, name: str = "jsonl") -> bytes:
        """Return the whole graph as a file."""
        answer = self.request("GET", "/v1/export", query={"format": name})
        assert answer.status == 200, answer
        return answer.content


def node_path(key: str, rest: str = "") -> str:
    """Return the path of a node's route."""
    return f"/v1/nodes/{quote(key, safe='')}{rest}"


@dataclass
class Daemon:
    """One daemon: a home, and a process while it is between `start` and its end."""

    home: Path
    disk: Disk | None = None
    """Where the home lies, if it is not on a disk of this process."""
    variables: Mapping[str, str] = field(default_factory=environment)
    program: tuple[str, ...] = (str(PROGRAM),)
    process: "subprocess.Popen[str] | None" = None
    api: Api = field(default_factory=lambda: Api(0, ""))

    @property
    def log(self) -> str:
        """All that was written to the standard error, over all starts."""
        return self._log_path.read_text()

    @property
    def pid(self) -> int:
        """Id of the running process."""
        assert self.process is not None
        return self.process.pid

    @property
    def folder(self) -> Path:
        """The home as this process sees it."""
        return self.home if self.disk is None else self.disk.seen(self.home)

    @property
    def _log_path(self) -> Path:
        return self.home.with_name(f"{self.home.name}-{_LOG_NAME}")

    def start(self, *flags: str) -> Self:
        """Start the process and wait until it serves, or raise `NotServingError`."""
        logged = len(self.log) if self._log_path.exists() else 0
        process = self.spawn(*flags)
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if " serves " in line:
                self.process = process
                self.api = Api(_port(line), (self.folder / "token").read_text())
                return self
        process.stdout.close()
        status = process.wait()
        raise NotServingError(status, "".join(said) + self.log[logged:])

    def stop(self) -> int:
        """Ask the process to end; return its exit status, or fail after 5 seconds."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop cleanly, then start again."""
        assert self.stop() == 0
        return self.start()

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def spawn(self, *flags: str) -> "subprocess.Popen[str]":
        """Start a process and do not wait for it."""
        prefix = [] if self.disk is None else self.disk.prefix
        command = [*prefix, *self.program, "--home", str(self.home), "run"]
        with self._log_path.open("a") as log:
            return subprocess.Popen(
                [*command, "--port", "0", *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.variables,
            )


@contextmanager
def serving(home: Path, *flags: str) -> Iterator[Daemon]:
    """Serve a home, made if it is new, until the block ends."""
    if not (home / "store.db").exists():
        make_home(home)
    daemon = Daemon(home)
    try:
        yield daemon.start(*flags)
    finally:
        if daemon.process is not None:
            with suppress(subprocess.TimeoutExpired):
                daemon.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Return when `condition` holds, or fail when it does not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_home(home: Path) -> InitResult:
    """Make a new person and device whose key is in a file of the home."""
    return initialise(home, "laptop", "key-file", None)


def _port(line: str) -> int:
    return int(line.rpartition(":")[2])
