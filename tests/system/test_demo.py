"""The demonstration comes true, ends by itself, and leaves nothing behind.

It runs as a person runs it, but for the model: the stand-in knows the statements.
"""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.daemons import environment, wait_until
from tests.support.stand_in_program import PROGRAM, VARIABLES

DEVICES: Final = 6
END_SECONDS: Final = 400.0

pytestmark = pytest.mark.timeout(900)  # six daemons take long on a busy machine
_SERVES: Final = " serves at port "


@contextmanager
def demonstration(folder: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the demonstration with its homes in a folder; end it with the block."""
    with subprocess.Popen(
        [*PROGRAM, "demo", *flags],
        env={**environment(**VARIABLES), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def processes(folder: Path) -> list[int]:
    """Return the processes whose arguments name something in a folder."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            named = arguments.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in named:
            found.append(int(arguments.parent.name))
    return found


def nothing_is_left(folder: Path) -> bool:
    """Whether neither processes nor files of it are there."""
    return not processes(folder) and not list(folder.iterdir())


def test_it_comes_true_and_leaves_nothing(tmp_path: Path) -> None:
    """All devices end with one result, after two sides had differed."""
    with demonstration(tmp_path) as process:
        said, _ = process.communicate(timeout=END_SECONDS)

    assert process.returncode == 0, said
    assert said.count(_SERVES) == DEVICES
    assert re.search(rf"{DEVICES} devices, one result: [0-9a-f]{{64}}\n", said)
    last = said.rpartition("\n[")[2]
    assert re.search(r"The old mill should be torn down .* 2 +2\n", last)
    for concerts in re.findall(r"concerts at the mill +(\d(?: \(emerging\))?)  ", said):
        assert concerts in ("3 (emerging)", "4")
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_early_finds_nothing_left(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end all daemons and remove all homes."""
    with demonstration(tmp_path) as process:
        assert process.stdout is not None
        serving = (line for line in process.stdout if _SERVES in line)
        for _ in range(2):
            next(serving)
        assert processes(tmp_path)
        process.send_signal(number)
        process.communicate(timeout=END_SECONDS)

    assert process.returncode == 130
    assert nothing_is_left(tmp_path)


def test_what_is_kept_can_be_looked_at_and_ended(tmp_path: Path) -> None:
    """With --keep the daemons go on, and what is printed ends and removes them."""
    with demonstration(tmp_path, "--keep") as process:
        said, _ = process.communicate(timeout=END_SECONDS)
    try:
        assert process.returncode == 0, said
        urls = re.findall(r"(http://127\.0\.0\.1:\d+) ", said)
        assert len(urls) == DEVICES
        for url in urls:
            with urllib.request.urlopen(f"{url}/healthz") as answer:
                assert answer.status == 200
        for command in ("kill", "rm -r"):
            found = re.search(rf"  ({command} .*)\n", said)
            assert found is not None
            subprocess.run(["sh", "-c", found[1]], check=True)
            wait_until(lambda: not processes(tmp_path))
        assert nothing_is_left(tmp_path)
    finally:
        for each in processes(tmp_path):
            os.kill(each, signal.SIGKILL)


def test_without_what_embeds_nothing_is_started(tmp_path: Path) -> None:
    """It says what to install."""
    without = (
        "import sys; sys.modules['sentence_transformers'] = None;"
        "from daemon.cli import main; main()"
    )
    refused = subprocess.run(
        [PROGRAM[0], "-c", without, "demo"],
        env={**environment(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert refused.returncode == 1
    assert "make meaning" in refused.stderr
    assert nothing_is_left(tmp_path)
