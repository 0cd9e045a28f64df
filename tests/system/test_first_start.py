"""The 24 words are shown to a person, and to nobody and nothing else."""

import os
import subprocess
from pathlib import Path

from daemon.home import has_store
from tests.support.daemons import PROGRAM, environment


def test_the_words_do_not_go_into_the_journal(tmp_path: Path) -> None:
    """A first start under systemd makes nothing and says what to do instead."""
    home = tmp_path / "home"
    reading, writing = os.pipe()
    stream = os.fstat(writing)
    variables = environment(
        FRACTALITY_HOME=str(home),
        JOURNAL_STREAM=f"{stream.st_dev}:{stream.st_ino}",
    )
    ended = subprocess.run(
        [PROGRAM, "run", "--port", "0"],
        env=variables,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    with os.fdopen(reading) as journal:
        printed = journal.read()

    assert (ended.returncode, printed) == (4, "")
    assert "fractality init" in ended.stderr
    assert not has_store(home)
