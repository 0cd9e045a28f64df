"""The command line as a process of its own: start-up, signals, pipes, terminals."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import FakeDaemon

FRACTALITY: Final = (sys.executable, "-c", "from daemon.cli import main; main()")
HEAVY: Final = {
    "aiohttp", "apsw", "cryptography", "keyring", "numpy", "pycrdt", "rich", "yaml",
}  # fmt: skip


def imported(home: Path, *arguments: str) -> set[str]:
    """Return the top-level modules that a command imported."""
    told = subprocess.run(
        [
            sys.executable,
            *("-X", "importtime"),
            *FRACTALITY[1:],
            *("--home", str(home)),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (
        line for line in told.stderr.splitlines() if line.startswith("import time")
    )
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("command", [["--help"], ["show", "bees"], ["list"]])
def test_a_command_starts_light(
    daemon: FakeDaemon, command_line: CommandLine, command: list[str]
) -> None:
    """What only the daemon or a terminal needs is not imported."""
    daemon.put("bees", "Bees")

    found = imported(command_line.home, *command)

    assert "click" in found
    assert found & HEAVY == set()


def test_an_encoding_that_cannot_tell_all_is_no_failure(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """What the output's encoding does not hold is escaped."""
    daemon.put("bees", "Bienen für 日本")

    told = subprocess.run(
        [*FRACTALITY, "--home", str(command_line.home), "search", "Bienen"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )

    assert b"Bienen f\xfcr \\u65e5\\u672c" in told.stdout


def test_a_reader_that_leaves_ends_the_command_in_silence(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """`fractality list --all | head -1` prints one line and no complaint."""
    for number in range(5000):
        daemon.put(f"key-{number:04}", "A label of some length, so that pipes fill up")

    with subprocess.Popen(
        [*FRACTALITY, "--home", str(command_line.home), "list", "--all"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"KEY")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_ctrl_c_ends_with_130_and_no_traceback(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A stream is left by Ctrl-C as the shells expect it."""
    release = threading.Event()
    daemon.hold = release
    with subprocess.Popen(
        [*FRACTALITY, "--home", str(command_line.home), "events"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        daemon.wait_asked()
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=10)
    release.set()

    assert (process.returncode, output, complaint) == (130, b"", b"")


def on_terminal(*arguments: str) -> str:
    """Run a command on a terminal of 60 columns; return what it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*FRACTALITY, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"COLUMNS": "60", "TERM": "xterm-256color"},
    ):
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
    os.close(ours)
    return shown.decode()


def read(terminal: int) -> bytes:
    """Return what a terminal shows next, nothing when its other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_a_table_fits_its_terminal(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """On a terminal long labels are cut, keys never, and no label is markup."""
    daemon.put("bees", "[red]" + "Bees " * 40)
    daemon.put("key-not-cut", "\x1b[31mred")

    shown = on_terminal("--home", str(command_line.home), "list")

    assert "[red]Bees" in shown
    assert "key-not-cut" in shown
    assert r"\x1b[31m" in shown
    assert "\x1b[31m" not in shown
    assert "…" in shown
    assert all(len(line) <= 60 for line in shown.splitlines()[1:])


def test_an_import_shows_its_progress_on_a_terminal(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """Long work is seen to go on, and its end is one plain sentence."""
    file = tmp_path / "graph.jsonl"
    file.write_bytes(b"{}\n" * 100_000)

    shown = on_terminal("--home", str(command_line.home), "import", str(file))

    assert "Importing" in shown
    assert shown.rstrip().endswith("Imported 100,000 items.")
