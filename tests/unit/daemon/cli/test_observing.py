"""Commands that watch the running daemon, and what they say when it does not run."""

import json
import shlex
import socket
import sys
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
from click.testing import CliRunner

from daemon.cli.root import cli
from daemon.cli.session import default_home
from tests.support.command_line import CommandLine
from tests.support.fake_daemon import STATUS, TOKEN, Answer, FakeDaemon, problem

API_COMMANDS = [
    "status", "token", "events", "add x", "show x", "list", "edit x --label y", "rm x",
    "restore-node x", "link a b", "pulse x", "search x", "path a b", "neighbours x",
    "export x.jsonl", "backup x.backup", "pair",
]  # fmt: skip


@pytest.mark.parametrize("command", API_COMMANDS)
def test_a_daemon_that_does_not_run_is_told(
    command_line: CommandLine, command: str
) -> None:
    """Every command that needs the daemon says how to start it: status 3."""
    result = command_line.run(*shlex.split(command))

    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: The daemon is not running for {command_line.home}."
        f" Start it with: fractality --home {command_line.home} run\n"
    )


def write_run_file(home: Path, port: int, process: int) -> None:
    """Write what a daemon leaves that was killed."""
    home.mkdir()
    running = {"port": port, "pid": process, "url": f"http://127.0.0.1:{port}"}
    (home / "run.json").write_text(json.dumps(running))
    (home / "token").write_text(TOKEN)


def test_the_token_is_not_given_to_who_took_over_the_port(
    command_line: CommandLine,
) -> None:
    """A process that listens where a dead daemon did is not even connected to."""
    with Popen([sys.executable, "-c", ""], stdout=DEVNULL) as ended:
        ended.wait()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        write_run_file(command_line.home, stranger.getsockname()[1], ended.pid)

        assert command_line.run("list").exit_code == 3
        stranger.settimeout(0)
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_a_port_that_nobody_listens_on_means_not_running(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A refused connection is told as a daemon that does not run."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    file = command_line.home / "run.json"
    running = json.loads(file.read_text()) | {"port": port}
    file.write_text(json.dumps(running))

    assert command_line.run("list").exit_code == 3


def test_a_wrong_token_is_refused(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """What the daemon does not allow ends with status 4."""
    (command_line.home / "token").write_text("wrong")

    result = command_line.run("list")

    assert (result.exit_code, daemon.nodes) == (4, {})
    assert result.stderr == "Error: The token is missing or wrong.\n"


def test_status_reads_well(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Who, where, how protected, how much: on one screen."""
    shown = command_line.run("status").stdout.splitlines()

    assert shown[0] == f"person   Ada ({'p' * 26})"
    assert shown[1] == f"device   laptop ({'d' * 26})"
    assert shown[2].startswith("daemon   0.1.0, up 3 h 12 min, port ")
    assert shown[3:] == [
        f"home     {command_line.home}",
        "at rest  encrypted (chacha20), key source key-file",
        "",
        "own",
        "  holds   2,048 nodes, 1 edge",
        "  digest  0123456789ab",
        "  state   on this device only",
    ]
    assert command_line.json("status") == STATUS


def test_token_prints_the_token_alone(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """The output can be put into a header as it is."""
    assert command_line.run("token").stdout == f"{TOKEN}\n"
    assert command_line.json("token") == {"token": TOKEN}


def test_the_environment_may_name_the_home(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """FRACTALITY_HOME stands in for --home."""
    environment = {"FRACTALITY_HOME": str(command_line.home)}

    result = CliRunner().invoke(cli, ["token"], env=environment)

    assert (result.exit_code, result.stdout) == (0, f"{TOKEN}\n")


STREAM = (
    b": hello\n\n"
    b'id: 41\nevent: node.changed\ndata: {"key":"bees","origin":"local"}\n\n'
    b'id: 42\nevent: pulse\ndata: {"keys":["a","b"]}\n\n'
    b"event: lost\ndata: {}\n\n"
)


def test_events_are_one_line_each(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Events are printed until the daemon stops, which is told by status 3."""
    daemon.answers["GET", "/v1/events"] = Answer(200, STREAM, "text/event-stream")

    result = command_line.run("events")

    assert result.exit_code == 3
    assert result.stdout == (
        "    41  node.changed        key=bees  origin=local\n"
        '    42  pulse               keys=["a","b"]\n'
        "        lost\n"
    )


def test_events_as_json_lines_from_a_number_on(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """--since resumes after an event; --json prints a document per line."""
    daemon.answers["GET", "/v1/events"] = Answer(200, STREAM, "text/event-stream")

    lines = command_line.run("--json", "events", "--since", "40").stdout.splitlines()

    assert daemon.requests[0].headers["Last-Event-ID"] == "40"
    assert json.loads(lines[0]) == {
        "id": "41",
        "type": "node.changed",
        "data": {"key": "bees", "origin": "local"},
    }


def test_a_problem_without_a_document_is_told_by_its_reason(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Whatever answers, the person is given a sentence and never a traceback."""
    daemon.answers["GET", "/v1/status"] = Answer(500, b"<html>", "text/html")

    result = command_line.run("status")

    assert (result.exit_code, result.stderr) == (1, "Error: Internal Server Error\n")


def test_an_answer_cut_short_is_a_failure(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Half a document is told as a connection that broke off."""
    daemon.answers["GET", "/v1/status"] = Answer(200, b'{"half', declared=100)

    result = command_line.run("status")

    assert result.exit_code == 1
    assert "broke off before its answer was complete" in result.stderr


def test_a_problem_cannot_command_the_terminal(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """The text of a problem is made safe like any other."""
    daemon.answers["GET", "/v1/status"] = problem(409, "\x1b[2Jgone")

    assert command_line.run("status").stderr == "Error: \\x1b[2Jgone\n"


@pytest.mark.parametrize(
    ("environment", "parent"),
    [
        ({"XDG_STATE_HOME": "/var/state"}, Path("/var/state")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local" / "state"),
        ({}, Path.home() / ".local" / "state"),
    ],
)
def test_the_default_home_is_the_state_directory(
    environment: dict[str, str], parent: Path
) -> None:
    """XDG_STATE_HOME counts if it is absolute, as its specification asks."""
    assert default_home(environment) == parent / "fractality"
