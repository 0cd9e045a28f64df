"""JavaScript Yjs behind a pipe, for every test in this folder."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

HERE: Final = Path(__file__).parent
INSTALL: Final = "run `npm ci` in tests/interop (`make test` does)"
BROWSER: Final = 2**53 - 1
"""Client id of JavaScript Yjs."""

Ask: TypeAlias = Callable[..., dict[str, Any]]
"""(updates, edits) to what the document then shows, see yjs_peer.mjs."""


@pytest.fixture(scope="module")
def javascript() -> Iterator[Ask]:
    """Ask JavaScript Yjs to build a document and edit it."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("Node.js 20 or newer is needed: install it, then " + INSTALL)
    if not (HERE / "node_modules" / "yjs").is_dir():
        pytest.fail("JavaScript Yjs is not installed: " + INSTALL)
    with subprocess.Popen(
        [node, HERE / "yjs_peer.mjs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
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
