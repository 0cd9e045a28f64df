"""Networks by the command line."""

import json
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import FakeDaemon, ok


def network(name: str, half_life: int = 168) -> dict[str, Any]:
    return {
        "name": name,
        "nodes": 3,
        "energy": {"atp": 2.5},
        "half_life_hours": half_life,
        "settings": f"network/{name}",
    }


def test_networks_are_listed(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Each with its nodes, its energy and how fast that halves."""
    listed = {"items": [network("default"), network("work\x1b[2J", 24)], "next": None}
    daemon.answers["GET", "/v1/networks"] = ok(listed)

    result = command_line.run("networks")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["NETWORK", "NODES", "ENERGY", "HALF-LIFE"]
    assert lines[1] == ["default", "3", "2.5", "168", "h"]
    assert "\x1b" not in result.stdout
    assert json.loads(command_line.run("--json", "networks").stdout) == listed


def test_a_half_life_is_set(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """For the network that is named, whatever its name."""
    daemon.answers["PUT", "/v1/networks/my%20work"] = ok(network("my work", 24))

    result = command_line.run("networks", "my work", "--half-life", "24")

    assert result.exit_code == 0
    assert "24 h" in result.stdout
    assert json.loads(daemon.requests[-1].content) == {"half_life_hours": 24}


@pytest.mark.parametrize(
    "arguments", [("work",), ("--half-life", "24"), ("work", "--half-life", "0")]
)
def test_half_a_wish_is_no_wish(
    arguments: tuple[str, ...], command_line: CommandLine
) -> None:
    """A network needs a half-life and a half-life a network, within its limits."""
    assert command_line.run("networks", *arguments).exit_code == 2
