"""Two real daemons, and the command line of a stranger in an empty home folder."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import PROGRAM, Daemon, environment, serving, wait_until
from tests.support.homes import open_home


@pytest.fixture
def inviter(tmp_path: Path) -> Iterator[Daemon]:
    """Run a device that holds something and invites."""
    with serving(tmp_path / "inviter", *PRIVATE) as running:
        running.api.put_node("mill", "The old mill")
        yield running


PRIVATE = ("--peer-port", "0", "--no-discovery")


def endpoint(daemon: Daemon) -> str:
    """Return where a daemon listens for peers."""
    running = json.loads((daemon.home / "run.json").read_bytes())
    return f"127.0.0.1:{running['peer_port']}"


def fractality(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the program as a stranger would, in a home folder of the stranger's own."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment(HOME=str(home)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def share_all(one: Path, other: Path) -> bool:
    """Whether two homes hold the keys of one person, all of them, and one roster."""
    with open_home(one) as (first, mine), open_home(other) as (second, theirs):
        return (
            first.keys == second.keys
            and first.roster.fingerprint == second.roster.fingerprint
            and len(first.roster.ranked) == 2
            and mine.identity.person_secret == theirs.identity.person_secret
            and mine.identity.device != theirs.identity.device
        )


def test_a_stranger_joins_in_a_fresh_home(inviter: Daemon, tmp_path: Path) -> None:
    """`pair` shows a code, `join` takes it, and both say who the other is."""
    shown = subprocess.Popen(
        [PROGRAM, "--home", inviter.home, "pair"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shown.stdout is not None
    code = next(line.strip() for line in shown.stdout if line.startswith("    "))
    stranger = tmp_path / "stranger"
    stranger.mkdir()

    joined = fractality(
        "join",
        code.upper(),
        "--at",
        endpoint(inviter),
        "--name",
        "phone",
        home=stranger,
    )

    told = shown.stdout.read()
    shown.stdout.close()
    assert (joined.returncode, shown.wait(60)) == (0, 0), joined.stderr
    assert "phone (" in told
    assert "has joined" in told
    assert "let in by laptop" in joined.stdout
    assert "fractality run" in joined.stdout
    inviter.stop()
    assert share_all(inviter.home, stranger / ".local" / "state" / "fractality")


def test_a_wrong_code_leaves_a_fresh_home_empty(
    inviter: Daemon, tmp_path: Path
) -> None:
    """The person is told what happened, what is safe and what to do."""
    opened = inviter.api.request("POST", "/v1/pairing").document
    number = opened["code"].partition("-")[0]
    wrong = f"{number}-zoo-zoo"
    stranger = tmp_path / "stranger"
    stranger.mkdir()

    failed = fractality("join", wrong, "--at", endpoint(inviter), home=stranger)

    assert failed.returncode == 4
    assert "try again" in failed.stderr
    assert "Nothing was kept" in failed.stderr
    assert not (stranger / ".local" / "state" / "fractality").exists()
    standing = inviter.api.get("/v1/pairing")
    assert (standing["state"], standing["cause"]) == ("open", "wrong-code")


def test_ctrl_c_takes_the_invitation_back(inviter: Daemon) -> None:
    """Whoever stops waiting leaves no door open."""
    waiting = subprocess.Popen(
        [PROGRAM, "--home", inviter.home, "pair"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stderr is not None
    assert "Waiting" in waiting.stderr.readline()

    waiting.send_signal(2)

    waiting.stderr.close()
    assert waiting.wait(60) == 130
    standing = inviter.api.get("/v1/pairing")
    assert (standing["state"], standing["cause"]) == ("ended", "cancelled")


def test_a_served_home_joins_and_is_served_again(
    inviter: Daemon, tmp_path: Path
) -> None:
    """The same process goes on, on the same ports, as a device of the other person."""
    opened = inviter.api.request("POST", "/v1/pairing").document
    with serving(tmp_path / "joiner", *PRIVATE) as joiner:
        before = joiner.api.get("/v1/status")
        place, pid = endpoint(joiner), joiner.pid

        answer = joiner.api.request(
            "POST",
            "/v1/pairing/join",
            {"code": opened["code"], "endpoint": endpoint(inviter)},
        )

        assert answer.status == 200, answer
        mine = inviter.api.get("/v1/status")
        assert answer.document["person"] == mine["person"]
        assert answer.document["device"] == mine["device"]
        wait_until(lambda: is_served(joiner, answer.document["joined_as"]["id"]))
        after = joiner.api.get("/v1/status")
        assert after["person"] == mine["person"] != before["person"]
        assert (endpoint(joiner), joiner.pid) == (place, pid)
        assert inviter.api.get("/v1/pairing")["device"] == after["device"]
        assert joiner.api.put_node("weir", "The weir").status == 201
        joiner.kill()
        joiner.start(*PRIVATE)
        assert joiner.api.get("/v1/status")["device"] == after["device"]
        assert joiner.stop() == 0
    inviter.stop()
    assert share_all(inviter.home, tmp_path / "joiner")


def is_served(daemon: Daemon, device: str) -> bool:
    """Whether a daemon answers as `device`."""
    try:
        return bool(daemon.api.get("/v1/status")["device"]["id"] == device)
    except OSError:
        return False


def test_a_home_that_holds_something_does_not_join(
    inviter: Daemon, tmp_path: Path
) -> None:
    """409 says why, and what to do instead."""
    with serving(tmp_path / "joiner", *PRIVATE) as joiner:
        joiner.api.put_node("own", "A thought of its own")

        answer = joiner.api.request(
            "POST",
            "/v1/pairing/join",
            {"code": "7-orbit-ladder", "endpoint": endpoint(inviter)},
        )

        assert answer.status == 409
        assert "fractality --home" in answer.document["detail"]
        assert joiner.api.space()["nodes"] == 1


def test_the_code_and_the_keys_are_nowhere_to_be_seen(
    inviter: Daemon, tmp_path: Path
) -> None:
    """Neither log nor arguments nor clear files hold the words of an open code."""
    opened = inviter.api.request("POST", "/v1/pairing").document
    _, first, second = opened["code"].split("-")
    phrase = f"{first}-{second}".encode()

    clear = [inviter.log.encode(), Path(f"/proc/{inviter.pid}/cmdline").read_bytes()]
    for folder, _, names in os.walk(inviter.home):
        clear += [Path(folder, name).read_bytes() for name in names]

    assert not any(phrase in each for each in clear)
    assert opened["link"].startswith(f"fractality:pair?code={opened['code']}")
    assert opened["qr"].startswith("<svg")
