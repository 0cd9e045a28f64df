"""Commands about the person's other devices."""

import json
from typing import Any, Final

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import STATUS, FakeDaemon, ok

PHONE: Final[dict[str, Any]] = {
    "id": "phone" + "a" * 21,
    "name": "phone",
    "role": "admin",
    "is_this": False,
    "is_removed": False,
    "online": True,
    "link": "webrtc",
    "pending_out": 0,
    "pending_in": 0,
    "last_ack": "2024-05-01T12:00:00Z",
    "safe": True,
    "digest_equal": True,
    "cause": None,
    "fix": None,
}
LAPTOP: Final = PHONE | {
    "id": "d" * 26,
    "name": "laptop",
    "is_this": True,
    "link": None,
}
TABLET: Final = PHONE | {
    "id": "tablet" + "b" * 20,
    "name": "tablet",
    "online": False,
    "link": None,
    "pending_out": 3,
    "last_ack": None,
    "safe": False,
    "digest_equal": False,
    "cause": "no route: 3 addresses tried",
    "fix": "Start it there.",
}


@pytest.fixture
def others(daemon: FakeDaemon) -> FakeDaemon:
    """Give the fake daemon two other devices."""
    listed = {"items": [LAPTOP, PHONE, TABLET], "next": None}
    space = STATUS["spaces"][0] | {  # type: ignore[index]  # a document, by its words
        "state": "stalled",
        "devices": [PHONE, TABLET],
    }
    daemon.answers["GET", "/v1/devices"] = ok(listed)
    daemon.answers["GET", "/v1/status"] = ok(STATUS | {"spaces": [space]})
    return daemon


def test_devices_are_a_table(others: FakeDaemon, command_line: CommandLine) -> None:
    """One row for each device, with what keeps it out of step."""
    shown = command_line.run("devices").stdout.splitlines()

    assert [line.split()[0] for line in shown] == ["NAME", "laptop", "phone", "tablet"]
    assert "(this one)" in shown[1]
    assert shown[2].endswith("2024-05-01    in step")
    assert shown[3].endswith("no route: 3 addresses tried")
    assert command_line.json("devices")["items"] == [LAPTOP, PHONE, TABLET]


def test_status_shows_the_devices(
    others: FakeDaemon, command_line: CommandLine
) -> None:
    """The status lists how each device stands, and where to learn what to do."""
    result = command_line.run("status")

    assert "  state   stalled" in result.stdout
    assert "no route: 3 addresses tried" in result.stdout
    assert "fractality why" in result.stderr


def test_why_tells_cause_and_remedy(
    others: FakeDaemon, command_line: CommandLine
) -> None:
    """Each device with what is safe there, why it is behind and what to do."""
    shown = command_line.run("why", "tablet").stdout

    assert shown.splitlines()[0] == "tablet"
    assert "all but 3 envelopes" in shown
    assert "no route: 3 addresses tried" in shown
    assert "Start it there." in shown
    assert "phone" not in shown
    assert command_line.json("why") == [PHONE, TABLET]


def test_why_of_an_unknown_device(
    others: FakeDaemon, command_line: CommandLine
) -> None:
    """A device that is none is told as not found."""
    assert command_line.run("why", "toaster").exit_code == 5


def test_why_of_a_removed_device(others: FakeDaemon, command_line: CommandLine) -> None:
    """A removed device is told of when it is asked for, and owed nothing."""
    lost = PHONE | {"is_removed": True, "pending_out": 3, "cause": "revoked"}
    listed = {"items": [LAPTOP, lost, TABLET], "next": None}
    others.answers["GET", "/v1/devices"] = ok(listed)

    assert "revoked" in command_line.run("why", "phone").stdout
    assert command_line.json("why") == [TABLET]
    assert " 3 " not in command_line.run("devices").stdout.splitlines()[2]


def test_why_of_this_device(others: FakeDaemon, command_line: CommandLine) -> None:
    """Asked about the device that answers, it says so."""
    assert "that you ask" in command_line.run("why", "laptop").stdout


def test_why_alone(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A device alone is told how to get another."""
    daemon.answers["GET", "/v1/devices"] = ok({"items": [LAPTOP], "next": None})

    assert "fractality pair" in command_line.run("why").stdout


def test_revoke_asks_first(others: FakeDaemon, command_line: CommandLine) -> None:
    """Nothing is removed before the person has agreed."""
    path = f"/v1/devices/{PHONE['id']}"
    others.answers["DELETE", path] = ok(PHONE | {"is_removed": True})

    declined = command_line.run("revoke", "phone", input="n\n")
    assert [each.method for each in others.requests] == ["GET"]
    assert declined.exit_code == 1
    assert "Nothing was changed: phone stays." in declined.stderr
    result = command_line.run("revoke", "phone", input="y\n")

    assert others.requests[-1].method == "DELETE"
    assert result.stdout.startswith("Removed phone.")


def test_revoke_takes_the_beginning_of_an_id(
    others: FakeDaemon, command_line: CommandLine
) -> None:
    """A device may be named by the first characters of its id."""
    path = f"/v1/devices/{TABLET['id']}"
    others.answers["DELETE", path] = ok(TABLET)

    assert command_line.run("revoke", "--yes", TABLET["id"][:8]).exit_code == 0
    assert others.requests[-1].path == path


def test_revoke_of_a_name_twice_is_refused(
    others: FakeDaemon, command_line: CommandLine
) -> None:
    """Two devices of one name have to be told apart by their ids."""
    twins = {"items": [PHONE, TABLET | {"name": "phone"}], "next": None}
    others.answers["GET", "/v1/devices"] = ok(twins)

    result = command_line.run("revoke", "--yes", "phone")

    assert result.exit_code == 4
    assert "2 devices go by 'phone'" in result.stderr


def test_peers_lists_links(others: FakeDaemon, command_line: CommandLine) -> None:
    """Kinds of links, round trip times, bytes and addresses."""
    peer = {
        "id": PHONE["id"],
        "name": "phone",
        "link": "webrtc",
        "rtt_ms": 1.26,
        "bytes_out": 2_000,
        "bytes_in": 10,
        "addresses": ["192.0.2.7:7374"],
    }
    others.answers["GET", "/v1/peers"] = ok({"items": [peer], "next": None})

    row = command_line.run("peers").stdout.splitlines()[1]

    assert row.split("  ") == [
        "phone", "webrtc", "1.3 ms", "2.0 kB", "10 bytes", "192.0.2.7:7374",
    ]  # fmt: skip


def test_peers_alone(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A device alone is told how to get another."""
    daemon.answers["GET", "/v1/peers"] = ok({"items": [], "next": None})

    assert "fractality pair" in command_line.run("peers").stdout


def test_peers_takes_an_address(others: FakeDaemon, command_line: CommandLine) -> None:
    """--add sends the address to the daemon."""
    others.answers["POST", "/v1/peers"] = ok({"address": "192.0.2.7:7374"}, 202)

    result = command_line.run("peers", "--add", "192.0.2.7")

    assert others.requests[-1].document == {"address": "192.0.2.7"}
    assert result.stdout == "Trying 192.0.2.7:7374.\n"


def test_sync_says_what_is_done(others: FakeDaemon, command_line: CommandLine) -> None:
    """Each device with what is done about it now."""
    plan = {"id": PHONE["id"], "name": "phone", "plan": "in step already"}
    others.answers["POST", "/v1/sync"] = ok({"paused": False, "devices": [plan]})

    assert command_line.run("sync").stdout == "phone: in step already\n"
    assert others.requests[-1].document == {}


def test_sync_can_be_paused(others: FakeDaemon, command_line: CommandLine) -> None:
    """--pause and --resume say so to the daemon."""
    others.answers["POST", "/v1/sync"] = ok({"paused": True, "devices": []})

    result = command_line.run("sync", "--pause")
    command_line.run("sync", "--resume")

    assert [json.loads(each.content) for each in others.requests] == [
        {"paused": True},
        {"paused": False},
    ]
    assert "sync --resume" in result.stdout
