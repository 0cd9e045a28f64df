"""systemd is told what it asked to be told, and nobody else is."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import notify


@pytest.fixture(params=["a file", "an abstract name"])
def listening(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[str, socket.socket]]:
    """A socket such as systemd opens, and its name in `NOTIFY_SOCKET`."""
    if request.param == "a file":
        name = address = str(tmp_path / "notify")
    else:
        name, address = f"@{tmp_path}", f"\0{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        yield name, receiver


def test_states_arrive_in_one_message(listening: tuple[str, socket.socket]) -> None:
    """All states of one call are one datagram, one to a line."""
    name, receiver = listening
    environment = {"NOTIFY_SOCKET": name}

    told = notify.notify(environment, notify.READY, notify.status("serving\nall"))

    assert told
    assert receiver.recv(4096) == b"READY=1\nSTATUS=serving all"


def test_stopping_and_living_are_told(listening: tuple[str, socket.socket]) -> None:
    """Each call is a message of its own."""
    name, receiver = listening

    for state in (notify.ALIVE, notify.STOPPING):
        notify.notify({"NOTIFY_SOCKET": name}, state)

    assert [receiver.recv(99) for _ in "12"] == [b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize("name", [None, "", "relative", "vsock:2:1234", "/absent"])
def test_nobody_is_told_where_nobody_listens(name: str | None) -> None:
    """Without a socket, with a foreign kind or a dead one, telling does nothing."""
    environment = {} if name is None else {"NOTIFY_SOCKET": name}

    assert not notify.notify(environment, notify.READY)


def test_telling_never_waits(listening: tuple[str, socket.socket]) -> None:
    """When systemd does not read, what finds no room is not told."""
    name, _ = listening
    long = notify.status("x" * 4000)

    told = [notify.notify({"NOTIFY_SOCKET": name}, long) for _ in range(2000)]

    assert told[0]
    assert not told[-1]


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_PID": "42"}, None),
    ],
)
def test_life_is_told_twice_as_often_as_asked(
    environment: dict[str, str], interval: float | None
) -> None:
    """The interval is half of systemd's, and only for the process it is meant for."""
    assert notify.watchdog_interval(environment, process_id=42) == interval
