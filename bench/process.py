"""A daemon as a process of its own, and the little HTTP that measuring takes."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

PROGRAM: Final = (str(Path(sys.executable).with_name("fractality")),)
_START_SECONDS: Final = 60.0


class DaemonProcess:
    """Runs a daemon on a home from entering to leaving."""

    def __init__(
        self,
        home: Path,
        *,
        embeddings: bool = False,
        program: Sequence[str] = PROGRAM,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet; without embeddings their process disturbs no figure."""
        self.home = home
        self._embeddings = embeddings
        self._program = program
        self._variables = variables or {}
        self.peer_port = 0
        """Where other devices reach it; the same again after a restart."""

    def __enter__(self) -> Self:
        """Start it and wait for its first answer."""
        (self.home / "run.json").unlink(missing_ok=True)
        started = time.perf_counter()
        self._process = subprocess.Popen(
            (
                *self._program,
                "run",
                "--port",
                "0",
                "--peer-port",
                str(self.peer_port),
                "--no-discovery",
            ),
            env={
                **os.environ,
                "FRACTALITY_HOME": str(self.home),
                "FRACTALITY_EMBEDDINGS": str(self._embeddings).lower(),
                **self._variables,
            },
            stdout=subprocess.DEVNULL,
        )
        self._wait_until_serving(started + _START_SECONDS)
        self.start_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask it to stop and wait for that."""
        self.connection.close()
        started = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self.stop_seconds = time.perf_counter() - started

    def kill(self) -> None:
        """End it as a power cut would."""
        self.connection.close()
        self._process.kill()
        self._process.wait()

    def processor_seconds(self) -> float:
        """Return the processor time that it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]
        ticks = sum(map(int, fields.split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send one request and return the decoded answer."""
        encoded = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, encoded, self._headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400 and answer.status != 503:
            message = f"{method} {path.split('?')[0]}: {answer.status}"
            raise RuntimeError(message)
        return json.loads(content) if content else None

    def fetch(self, path: str) -> bytes:
        """Return the whole answer to a GET."""
        self.connection.request("GET", path, headers=self._headers)
        return self.connection.getresponse().read()

    def follow(self, path: str) -> Iterator[str]:
        """Yield the lines of an answer that does not end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path, headers=self._headers)
        with connection.getresponse() as answer:
            for line in answer:
                yield line.decode().rstrip()

    def stream(self, path: str, chunks: Iterable[bytes]) -> Any:
        """Send a stream and return the last line of the answer."""
        self.connection.request(
            "POST", path, chunks, self._headers, encode_chunked=True
        )
        return json.loads(self.connection.getresponse().read().splitlines()[-1])

    def metric(self, name: str) -> float:
        """Return a figure of `/metrics`."""
        self.connection.request("GET", "/metrics", headers=self._headers)
        for line in self.connection.getresponse().read().decode().splitlines():
            if line.startswith(f"fractality_{name} "):
                return float(line.split()[1])
        message = f"there is no metric {name}"
        raise LookupError(message)

    def _wait_until_serving(self, deadline: float) -> None:
        while time.perf_counter() < deadline:
            try:
                record = json.loads((self.home / "run.json").read_text())
                token = (self.home / "token").read_text()
            except (OSError, ValueError):
                time.sleep(0.005)
                continue
            self._headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            }
            self.port, self.peer_port = record["port"], record["peer_port"]
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
            self.ask("GET", "/v1/nodes?limit=1")
            return
        message = "the daemon did not start"
        raise TimeoutError(message)
