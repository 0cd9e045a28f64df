"""JavaScript Yjs behind a pipe, for every test in this folder."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import pytest

HERE: Final = Path(__file__).parent
INSTALL: Final = "run `npm ci` in tests/interop (`make test` does)"
BROWSER: Final = 2**53 - 1
"""Client id of JavaScript Yjs."""

Ask: TypeAlias = Callable[..., dict[str, Any]]
"""(updates, edits) to what the document then shows, see yjs_peer.mjs."""


def _node(script: str) -> "subprocess.Popen[str]":
    """Run a script of this folder in Node.js."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("Node.js 20 or newer is needed: install it, then " + INSTALL)
    if not (HERE / "node_modules" / "y-websocket").is_dir():
        pytest.fail("JavaScript Yjs is not installed: " + INSTALL)
    return subprocess.Popen(
        [node, HERE / script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def javascript() -> Iterator[Ask]:
    """Ask JavaScript Yjs to build a document and edit it."""
    with _node("yjs_peer.mjs") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(
            updates: Sequence[bytes], edits: Sequence[Sequence[Any]] = ()
        ) -> dict[str, Any]:
            request = {
                "client": BROWSER,
                "updates": [update.hex() for update in updates],
                "edits": edits,
            }
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

        yield ask


@dataclass(frozen=True, slots=True)
class Clients:
    """Named clients of the npm package y-websocket, in one Node process."""

    requests: IO[str]
    answers: IO[str]

    def ask(self, action: str, name: str = "", **details: Any) -> dict[str, Any]:
        """Let one client do something, see y_websocket_peer.mjs."""
        request = {"do": action, "name": name, **details}
        self.requests.write(json.dumps(request) + "\n")
        self.requests.flush()
        answer: dict[str, Any] = json.loads(self.answers.readline())
        return answer

    def open(
        self, name: str, port: int, key: str, client: int = 0, **params: str
    ) -> None:
        """Open the body of a node on a daemon, and wait for what it holds.

        `client` is the client id to edit under; 0 takes a random one.
        """
        url = f"ws://127.0.0.1:{port}/v1/bodies"
        self.ask("open", name, url=url, key=key, params=params, client=client)
        self.ask("synced", name)

    def text(self, name: str) -> str:
        """Return what a client shows now."""
        return str(self.ask("read", name)["text"])


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Run clients until the test ends."""
    with _node("y_websocket_peer.mjs") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Clients(process.stdin, process.stdout)
        process.kill()
