"""What the two commands of a pairing say, against a daemon that answers by the book."""

import json

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import STATUS, Answer, FakeDaemon, ok, problem

OPENED = {
    "code": "7-orbit-ladder",
    "qr": "<svg/>",
    "link": "fractality:pair?code=7-orbit-ladder",
    "expires_at": "2024-05-01T12:10:00Z",
    "endpoint": "192.0.2.1:7374",
}
JOINED = {
    "person": {"id": "p" * 26, "name": "Ada"},
    "device": {"id": "i" * 26, "name": "tablet"},
    "joined_as": STATUS["device"],
}


def standing(state: str, **more: object) -> Answer:
    """Return how an invitation stands."""
    told = {"state": state, "cause": None, "detail": f"It is {state}.", "tries_left": 5}
    return ok({**told, "device": None, "revision": 2, **more})


def inviting(daemon: FakeDaemon, answer: Answer) -> None:
    """Let a daemon open an invitation that stands so."""
    daemon.answers["POST", "/v1/pairing"] = ok(OPENED, 201)
    daemon.answers["GET", "/v1/pairing"] = answer


def test_pair_shows_the_code_and_waits(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """The code stands alone on its line, then the command, then who has joined."""
    device = {"id": "n" * 26, "name": "phone"}
    inviting(daemon, standing("joined", device=device))

    result = command_line.run("pair")

    assert result.exit_code == 0
    assert "\n    7-orbit-ladder\n" in result.stdout
    assert "fractality join 7-orbit-ladder --at 192.0.2.1:7374" in result.stdout
    assert result.stdout.endswith(f"phone ({'n' * 26}) has joined.\n")


def test_pair_prints_what_the_api_answers(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """With --json: the invitation, and how it ended, a line each."""
    inviting(daemon, standing("joined"))

    lines = command_line.run("--json", "pair").stdout.splitlines()

    assert [json.loads(line).get("state") for line in lines] == [None, "joined"]
    assert json.loads(lines[0]) == OPENED


def test_pair_fails_if_nobody_has_joined(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """It says why: status 1."""
    inviting(daemon, standing("ended", cause="expired"))

    result = command_line.run("pair")

    assert result.exit_code == 1
    assert result.stdout.endswith("It is ended.\n")


@pytest.mark.parametrize("state", ["open", "joining"])
def test_pair_takes_the_invitation_back_when_it_breaks_off(
    daemon: FakeDaemon, command_line: CommandLine, state: str
) -> None:
    """Whatever ends the waiting, no door stays open."""
    asked = iter(range(2))

    class Once(dict[tuple[str, str], Answer]):
        def get(self, key: tuple[str, str], default: object = None) -> Answer | None:  # type: ignore[override]  # as it is called
            if key == ("GET", "/v1/pairing") and next(asked, None) == 1:
                return problem(500, "A fault.")
            return super().get(key)

    inviting(daemon, standing(state))
    daemon.answers = Once(daemon.answers)

    result = command_line.run("pair")

    assert result.exit_code == 1
    assert [each.method for each in daemon.requests][-1] == "DELETE"


def test_join_goes_through_the_daemon_of_the_home(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """It asks what was typed, and ends when the new device is served."""
    daemon.answers["POST", "/v1/pairing/join"] = ok(JOINED)

    result = command_line.run("join", "7 orbit ladder", "--at", "192.0.2.1:7374")

    assert result.exit_code == 0
    assert "a device of Ada now, let in by tablet" in result.stdout
    assert "24 words" in result.stdout
    asked = next(each for each in daemon.requests if each.method == "POST")
    assert asked.document == {
        "code": "7 orbit ladder",
        "endpoint": "192.0.2.1:7374",
        "name": None,
    }


def test_join_asks_for_a_code(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Without one among the arguments, where others could see it."""
    daemon.answers["POST", "/v1/pairing/join"] = ok(JOINED)

    result = command_line.run("join", input="7-orbit-ladder\n")

    assert result.exit_code == 0
    asked = next(each for each in daemon.requests if each.method == "POST")
    assert asked.document["code"] == "7-orbit-ladder"


def test_a_refused_join_is_told(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """The sentence is the daemon's: status 4."""
    daemon.answers["POST", "/v1/pairing/join"] = problem(409, "Not this one.")

    result = command_line.run("join", "7-orbit-ladder")

    assert result.exit_code == 4
    assert result.stderr == "Error: Not this one.\n"
