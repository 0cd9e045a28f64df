"""The daemon's local HTTP API, as programs on this machine call it.

Rule: standard library only and nothing at import that is not needed, so that a
command starts in tens of milliseconds.
Rule: every failure of the connection leaves as one of the errors below; errors of
the caller's own files pass through untouched.

FractalityError
├── DaemonAbsentError  no daemon serves this home
├── ProblemError       the daemon answered with a problem document (RFC 9457)
└── AnswerError        the answer broke off, came late or is not what was promised
"""

import contextlib
import http.client
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from crdt.errors import FractalityError
from daemon.uploading import Upload

Document: TypeAlias = dict[str, Any]
"""A JSON object as the API answers it."""
Query: TypeAlias = Mapping[str, str | int | float | bool | None]
"""Query parameters; those that are None are left out."""

LOOPBACK: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 60.0
_PROBLEM_BYTES: Final = 256 * 1024
_NO_RUN_FILE: Final = (
    FileNotFoundError,
    NotADirectoryError,
    LookupError,
    TypeError,
    ValueError,
)
"""What reading run.json raises if it is absent, cut short or something else."""


class DaemonAbsentError(FractalityError):
    """No daemon serves this home."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"The daemon is not running for {home}.")
        self.home = home


class ProblemError(FractalityError):
    """The daemon answered with a problem document."""

    def __init__(self, document: Document) -> None:
        super().__init__(str(document.get("detail") or document.get("title")))
        self.document = document
        self.status = int(document.get("status", 500))


class AnswerError(FractalityError):
    """The answer broke off, came too late or is not what the API promises."""


@contextlib.contextmanager
def _connection_errors(home: Path) -> Iterator[None]:
    """Turn what a socket raises into this module's errors."""
    try:
        yield
    except ConnectionRefusedError as error:
        raise DaemonAbsentError(home) from error
    except TimeoutError as error:
        text = (
            "The daemon runs but did not answer in time; `fractality doctor` may help."
        )
        raise AnswerError(text) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        text = "The connection to the daemon broke off before its answer was complete."
        raise AnswerError(text) from error


class Answer:
    """An answer whose content is still to be read."""

    def __init__(self, response: http.client.HTTPResponse, home: Path) -> None:
        self._response = response
        self._home = home
        self.size = response.length
        """Bytes of content, or None where only its end will tell."""

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes, none of them at the end.

        Raises `AnswerError` if the content is shorter than was announced.
        """
        with _connection_errors(self._home):
            content = self._response.read(count)
            if not content and self._response.length:
                raise http.client.IncompleteRead(content, self._response.length)
            return content

    def lines(self) -> Iterator[str]:
        """Yield the lines as they arrive, without their ends."""
        while True:
            with _connection_errors(self._home):
                line = self._response.readline()
            if not line:
                return
            yield line.decode(errors="replace").rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class Client:
    """Where the daemon of one home listens, and the token that it asks for."""

    home: Path
    port: int
    token: str
    answer_seconds: float = ANSWER_SECONDS

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return the decoded JSON of a GET."""
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        document: Document | None = None,
        *,
        query: Query | None = None,
    ) -> Any:
        """Send `document` as JSON and return the decoded answer, None if empty."""
        content = None if document is None else json.dumps(document).encode()
        answer = self.send(method, path, content, query=query)
        with _connection_errors(self.home):
            return json.loads(answer) if answer else None

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        content_type: str = "application/json",
        query: Query | None = None,
    ) -> bytes:
        """Send `content` and return the whole answer."""
        headers = {} if content is None else {"Content-Type": content_type}
        with contextlib.closing(self._connect(self.answer_seconds)) as connection:
            target = _target(path, query)
            with _connection_errors(self.home):
                connection.request(method, target, content, self._headers(headers))
                response = connection.getresponse()
            _raise_problem(response, self.home)
            with _connection_errors(self.home):
                return response.read()

    def batch(self, operations: Iterable[Document]) -> list[Document]:
        """Carry out `operations` in order; return the failures (`line`, `problem`)."""
        lines = b"\n".join(json.dumps(each).encode() for each in operations)
        answer = self.send(
            "POST", "/v1/batch", lines, content_type="application/x-ndjson"
        )
        with _connection_errors(self.home):
            told = [json.loads(line) for line in answer.splitlines()]
        if not told or not told[-1].get("done"):
            raise AnswerError("The daemon stopped before it had done all of it.")
        return [each for each in told if "problem" in each]

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """Open the answer of a GET that may last for as long as it likes."""
        with contextlib.closing(self._connect(None)) as connection:
            with _connection_errors(self.home):
                connection.request(
                    "GET", _target(path, query), headers=self._headers(headers or {})
                )
                response = connection.getresponse()
            with response:
                _raise_problem(response, self.home)
                yield Answer(response, self.home)

    @contextlib.contextmanager
    def upload(
        self, path: str, chunks: Iterable[bytes], *, content_type: str, query: Query
    ) -> Iterator[Answer]:
        """POST `chunks` while reading the answer, which may begin before their end.

        What iterating over `chunks` raises is raised when the context ends.
        """
        headers = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        with contextlib.closing(self._connect(None)) as connection:
            with _connection_errors(self.home):
                connection.putrequest("POST", _target(path, query))
                for name, value in self._headers(headers).items():
                    connection.putheader(name, value)
                connection.endheaders()
            with Upload(connection.sock, chunks) as upload:
                with upload.blamed(), _connection_errors(self.home):
                    response = connection.getresponse()
                with response, upload.blamed():
                    _raise_problem(response, self.home)
                    yield Answer(response, self.home)

    def _connect(self, seconds: float | None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(
            LOOPBACK, self.port, timeout=self.answer_seconds
        )
        with _connection_errors(self.home):
            connection.connect()
        connection.sock.settimeout(seconds)
        return connection

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **headers}


def connect(home: Path, answer_seconds: float = ANSWER_SECONDS) -> Client:
    """Return a client of the daemon that serves `home`.

    Raises `DaemonAbsentError` unless `run.json` names a living process: after a
    crash its port may belong to somebody else, who must not be given the token.
    """
    try:
        running = json.loads((home / "run.json").read_bytes())
        token = (home / "token").read_text().strip()
        port, process = int(running["port"]), int(running["pid"])
        _check_alive(process)
    except _NO_RUN_FILE as error:
        raise DaemonAbsentError(home) from error
    return Client(home, port, token, answer_seconds)


def _check_alive(process: int) -> None:
    """Raise `FileNotFoundError` unless `process` lives and is this user's."""
    try:
        os.kill(process, 0)
    except OSError as error:
        raise FileNotFoundError(process) from error


def node_path(key: str, part: str = "") -> str:
    """Return the route of a node, or of a `part` of it such as `body`."""
    route = f"/v1/nodes/{quote(key, safe='')}"
    return f"{route}/{part}" if part else route


def _target(path: str, query: Query | None) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in (query or {}).items()
        if value is not None
    }
    return f"{path}?{urlencode(given)}" if given else path


def _raise_problem(response: http.client.HTTPResponse, home: Path) -> None:
    """Raise `ProblemError` unless `response` is a success."""
    if 200 <= response.status < 300:
        return
    with _connection_errors(home):
        content = response.read(_PROBLEM_BYTES)
    try:
        document = json.loads(content)
        document["status"]
    except (ValueError, TypeError, KeyError):
        document = {"title": response.reason, "status": response.status}
    raise ProblemError(document)
