"""Shell completion."""

import subprocess

import pytest
from click.shell_completion import ShellComplete

from daemon.cli.root import SECTIONS, cli
from tests.support.command_line import CommandLine
from tests.support.fake_daemon import FakeDaemon, problem


def completed(command_line: CommandLine, *arguments: str) -> list[str]:
    """Return what is offered for the last of `arguments`."""
    words = ["--home", str(command_line.home), *arguments]
    completion = ShellComplete(cli, {}, "fractality", "_FRACTALITY_COMPLETE")
    return [item.value for item in completion.get_completions(words[:-1], words[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_where_it_belongs(
    command_line: CommandLine, shell: str
) -> None:
    """The script sets completion up for `fractality` and tells how to install it."""
    result = command_line.run("completion", shell)

    assert result.exit_code == 0
    assert f"#   fractality completion {shell} > " in result.stdout
    assert f"_FRACTALITY_COMPLETE={shell}_complete" in result.stdout


def test_bash_reads_the_script(command_line: CommandLine) -> None:
    """The shell finds no fault with its script."""
    script = command_line.run("completion", "bash").stdout

    subprocess.run(["bash", "-n"], input=script.encode(), check=True)


def test_keys_are_completed_by_the_daemon(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Every argument that is the key of a node is completed from the graph."""
    daemon.put("bees", "Bees")
    daemon.put("beets", "Beets")
    daemon.put("garden", "The garden")

    assert completed(command_line, "show", "bee") == ["bees", "beets"]
    assert completed(command_line, "link", "bees", "g") == ["garden"]
    assert completed(command_line, "add", "text", "--parent", "g") == ["garden"]


def test_completion_stays_silent_without_a_daemon(command_line: CommandLine) -> None:
    """Nothing is offered and nothing is printed if no daemon can be asked."""
    assert completed(command_line, "show", "bee") == []


def test_completion_stays_silent_if_refused(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A problem is no reason to disturb who is typing."""
    daemon.answers["GET", "/v1/nodes"] = problem(503, "Starting.")

    assert completed(command_line, "show", "bee") == []


def test_commands_are_completed(command_line: CommandLine) -> None:
    """Every command of the help is offered."""
    names = {command.name for commands in SECTIONS.values() for command in commands}

    assert set(completed(command_line, "")) == names
