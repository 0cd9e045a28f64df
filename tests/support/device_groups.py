"""Several devices of one person: real daemons, paired as a person pairs them."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.daemons import PROGRAM, Daemon, environment, make_home, wait_until

QUIET = ("--no-discovery",)
"""Devices of tests find each other by address alone: others may run beside them."""


def peer_port(daemon: Daemon) -> int:
    """Return the port on which other devices reach a running daemon."""
    record = json.loads((daemon.folder / "run.json").read_text())
    return int(record["peer_port"])


def pair(inviter: Daemon, home: Path) -> None:
    """Make `home` another device of the person of a running daemon."""
    answer = inviter.api.request("POST", "/v1/pairing", {})
    assert answer.status in (200, 201), answer
    joined = subprocess.run(
        (
            str(PROGRAM), "--home", str(home), "join", answer.document["code"],
            "--at", f"127.0.0.1:{peer_port(inviter)}", "--name", home.name,
            "--key-file",
        ),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    assert joined.returncode == 0, joined.stderr


def restore(home: Path, backup: Path, words: str) -> None:
    """Make `home` a new device of the person whose backup and words these are."""
    restored = subprocess.run(
        (
            str(PROGRAM), "--home", str(home), "restore", str(backup),
            "--name", home.name, "--key-file",
        ),
        env=environment(),
        input=f"{words}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    assert restored.returncode == 0, restored.stderr


def start(daemon: Daemon) -> Daemon:
    """Start a daemon on any free ports; again on the same port for peers."""
    port = "0"
    with suppress(FileNotFoundError):
        port = (daemon.home.with_name(f"{daemon.home.name}-peer-port")).read_text()
    daemon.start("--peer-port", port, *QUIET)
    place = daemon.home.with_name(f"{daemon.home.name}-peer-port")
    place.write_text(str(peer_port(daemon)))
    return daemon


@contextmanager
def devices(folder: Path, *names: str) -> Iterator[list[Daemon]]:
    """Run one daemon for each name, all of one person, until the block ends."""
    if not (folder / names[0]).exists():
        make_home(folder / names[0])
    daemons = [start(Daemon(folder / names[0]))]
    try:
        for name in names[1:]:
            pair(daemons[0], folder / name)
            daemons.append(start(Daemon(folder / name)))
        yield daemons
    finally:
        for daemon in daemons:
            if daemon.process is not None:
                daemon.kill()


def standing(daemon: Daemon, other: Daemon) -> Any:
    """Return what a daemon says of another device."""
    name = other.home.name
    listed = daemon.api.get("/v1/devices")["items"]
    return next(each for each in listed if each["name"] == name)


def are_in_step(daemons: Sequence[Daemon]) -> bool:
    """Whether each says that all devices hold and show the same, and they do."""
    spaces = [daemon.api.space() for daemon in daemons]
    return len({space["digest"] for space in spaces}) == 1 and all(
        space["state"] == "synced" and len(space["devices"]) == len(daemons) - 1
        for space in spaces
    )


def wait_in_step(*daemons: Daemon) -> None:
    """Return when all devices are in step, or fail."""
    wait_until(lambda: are_in_step(daemons))
