"""Whatever keeps the daemon from serving is one clear sentence; nothing is changed."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.daemons import (
    PROGRAM,
    Daemon,
    NotServingError,
    environment,
    serving,
)
from tests.support.disks import small_disk

PASSPHRASE: Final = "correct horse battery staple"


@pytest.fixture(scope="module")
def served(folder: Path) -> Path:
    """Make a home that has served once, to be copied."""
    home = folder / "served"
    with serving(home) as daemon:
        daemon.api.put_node("kept")
        assert daemon.stop() == 0
    return home


@pytest.fixture
def home(served: Path, tmp_path: Path) -> Path:
    """Make a home that has served once."""
    return shutil.copytree(served, tmp_path / "home")


def refusal(daemon: Daemon, *flags: str) -> NotServingError:
    """Start a daemon that must not serve; return why it did not."""
    with pytest.raises(NotServingError) as caught:
        daemon.start(*flags)
    lines = caught.value.said.splitlines()
    assert lines[0].startswith("Error: "), caught.value.said
    assert "Traceback" not in caught.value.said
    return caught.value


def files(home: Path) -> dict[str, bytes]:
    """Return the content of every file of a home."""
    return {path.name: path.read_bytes() for path in home.iterdir()}


def assert_serves(home: Path) -> None:
    """Start the daemon; find what was kept; stop it."""
    with serving(home) as daemon:
        assert [n["key"] for n in daemon.api.get("/v1/nodes")["items"]] == ["kept"]
        assert daemon.stop() == 0


def test_a_second_daemon_is_refused(home: Path) -> None:
    """One home has one daemon: a second says so, ends with 4 and disturbs nothing."""
    with serving(home) as first:
        refused = refusal(Daemon(home))

        assert refused.status == 4
        assert f"Another process uses the home {home}" in refused.said
        assert first.api.put_node("kept").status == 200
        assert first.stop() == 0


def test_a_key_of_another_store_is_refused(home: Path) -> None:
    """A wrong key opens nothing: one sentence, exit status 4."""
    key = home / "store.key"
    right = key.read_text()
    key.write_text("0" * 64)
    before = files(home)

    refused = refusal(Daemon(home))

    assert refused.status == 4
    assert "The key does not open this store" in refused.said
    assert files(home) == before
    key.write_text(right)
    assert_serves(home)


@pytest.mark.parametrize(
    ("name", "content", "mode", "sentence"),
    [
        ("store.key", None, 0o600, "store.key cannot be read: No such file"),
        ("store.key", "half a key", 0o600, "does not hold a key of 32 bytes"),
        ("store.key", "0" * 64, 0o644, "can be read by others"),
        ("store-key.json", None, 0o600, "store-key.json"),
        ("store-key.json", "{", 0o600, "store-key.json is damaged"),
        ("store.check", None, 0o600, "store.check"),
    ],
)
def test_what_a_key_needs_is_missed_by_name(
    home: Path, name: str, content: str | None, mode: int, sentence: str
) -> None:
    """A key or record that is missing, damaged or open to others is named."""
    path = home / name
    right = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
        path.chmod(mode)

    refused = refusal(Daemon(home))

    assert refused.status == 1
    assert sentence in refused.said
    path.write_bytes(right)
    path.chmod(0o600)
    assert_serves(home)


def test_a_systemd_credential_opens_its_home(tmp_path: Path) -> None:
    """With the credential it serves; without it it says where the key should be."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "fractality-store-key").write_bytes(bytes(range(32)))
    variables = environment(CREDENTIALS_DIRECTORY=str(credentials))
    daemon = Daemon(tmp_path / "home", variables=variables)

    daemon.start()
    at_rest = daemon.api.get("/v1/status")["at_rest"]
    assert daemon.stop() == 0

    assert at_rest["key_source"] == "systemd-credential"
    daemon.variables = environment()
    assert "systemd passed no credential" in refusal(daemon).said
    (credentials / "fractality-store-key").write_bytes(bytes(32))
    daemon.variables = variables
    assert refusal(daemon).status == 4


def test_a_passphrase_opens_its_home(tmp_path: Path) -> None:
    """It is asked for on the terminal; a wrong one, or no terminal, is told."""
    home = tmp_path / "home"
    status, said = on_terminal(
        ["--home", str(home), "init", "--yes", "--passphrase"], PASSPHRASE, PASSPHRASE
    )
    assert status == 0, said

    refused = refusal(Daemon(home))
    assert "there is no way to ask for it" in refused.said
    run = ["--home", str(home), "run", "--port", "0"]
    status, said = on_terminal(run, "not the passphrase")
    assert (status, "The key does not open this store" in said) == (4, True)
    status, said = on_terminal(run, PASSPHRASE, until=" serves ")
    assert (status, PASSPHRASE in said) == (0, False)


def test_a_keyring_that_is_gone_is_told(home: Path) -> None:
    """A home whose key is in a keyring says so where there is none."""
    record = '{"source":"keyring","version":1,"entry":"store-key-0"}'
    (home / "store-key.json").write_text(record)

    assert "keyring" in refusal(Daemon(home)).said


def test_every_fault_of_the_settings_is_told_at_once(home: Path) -> None:
    """All wrong settings are listed, each with its place, and none is used."""
    path = home / "config.toml"
    path.write_text('port = "x"\ncolour = 1\npeer_port = 99999\nlog_level = "loud"\n')
    daemon = Daemon(home, variables=environment(FRACTALITY_DISCOVERY="maybe"))

    refused = refusal(daemon)

    for name in ("port", "colour", "peer_port", "log_level"):
        assert f"{path}: {name}: " in refused.said
    assert "environment: discovery: " in refused.said
    path.write_text("port = = 1")
    daemon.variables = environment()
    assert "config.toml" in refusal(daemon).said
    path.write_bytes(b"# \xff")
    assert "config.toml" in refusal(daemon).said
    path.unlink()
    assert_serves(home)


def test_a_taken_port_is_told(home: Path, tmp_path: Path) -> None:
    """Another program's port is named, with what to do."""
    with serving(tmp_path / "other") as other:
        refused = refusal(Daemon(home), "--port", str(other.api.port))

    assert refused.status == 1
    assert f"Port {other.api.port} of this machine is taken" in refused.said
    assert_serves(home)


@pytest.mark.parametrize("content", ["", "{", '{"pid":1,"port":1,"peer_port":1}'])
def test_what_a_crash_left_is_no_obstacle(home: Path, content: str) -> None:
    """A `run.json` of a daemon that is gone is replaced, and removed at the end."""
    (home / "run.json").write_text(content)
    (home / "run.json.unfinished").write_text(content)
    (home / "backup.unfinished").write_text(content)

    assert_serves(home)
    assert not (home / "run.json").exists()


def test_a_first_start_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    """However soon a new home's first start is killed, the next one serves."""
    for number in range(6):
        daemon = Daemon(tmp_path / f"home{number}")
        process = daemon.spawn()
        with suppress(subprocess.TimeoutExpired):
            process.wait(number * 0.1)
        process.kill()
        process.communicate()

        daemon.start()
        assert daemon.stop() == 0


def test_a_home_that_cannot_be_written_is_told(home: Path, tmp_path: Path) -> None:
    """On a disk that turned read-only nothing starts, and the sentence says why."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        shutil.copytree(home, disk.seen(disk.root / "home"))
        disk.make_read_only()

        refused = refusal(Daemon(disk.root / "home", disk=disk))

    assert refused.status == 1
    assert "Read-only file system" in refused.said


def on_terminal(
    arguments: list[str], *answers: str, until: str | None = None
) -> tuple[int, str]:
    """Run a command on a terminal of its own and answer what it asks.

    Returns its exit status and all it showed; with `until` it is asked to end once it
    has shown that.
    """
    said = ""
    waiting = list(answers)
    with terminal(arguments) as (process, descriptor):
        with suppress(OSError):
            while True:
                said += os.read(descriptor, 4096).decode()
                if waiting and said.count(":") > len(answers) - len(waiting):
                    os.write(descriptor, waiting.pop(0).encode() + b"\n")
                if until is not None and until in said:
                    process.terminate()
                    until = None
        return process.wait(), said


@contextmanager
def terminal(arguments: list[str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run the program on a new terminal; yield it and our end of the terminal."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [str(PROGRAM), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(),
            start_new_session=True,
        ) as process:
            os.close(theirs)
            yield process, ours
    finally:
        os.close(ours)
