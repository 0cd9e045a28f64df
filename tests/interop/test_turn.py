"""Debian's coturn brings devices together whose networks do not."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.support.own_network import own_network
from tests.support.turn_network import SECRET
from transport.ice_servers import IceServers, StunServer, TurnServer

REPOSITORY: Final = Path(__file__).parents[2]
TURN: Final = TurnServer("HOST", shared_secret=SECRET)
TCP_ONLY: Final = ("--no-udp",)


@pytest.fixture(autouse=True, scope="module")
def coturn() -> None:
    """Install coturn where it lacks and that is allowed."""
    if shutil.which("turnserver") is None or shutil.which("ip") is None:
        subprocess.run(
            [REPOSITORY / "scripts" / "debian", "coturn", "iproute2"],
            check=True,
            timeout=240,
        )


def outcome(servers: IceServers, *options: str) -> str:
    """Return what came of a dial between the two networks."""
    finished = subprocess.run(
        [
            *own_network(),
            sys.executable,
            "-m",
            "tests.support.turn_network",
            msgspec.json.encode(servers).decode(),
            *options,
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return finished.stdout.strip()


@pytest.mark.parametrize(
    ("servers", "options"),
    [
        (IceServers(turn=TURN), ()),
        (IceServers(turn=TURN), TCP_ONLY),
        (IceServers(turn=TURN, is_relay_only=True, stun=StunServer("HOST")), ()),
    ],
    ids=["by UDP", "by TCP where UDP is barred", "relay only"],
)
def test_a_turn_server_joins_two_networks(
    servers: IceServers, options: tuple[str, ...]
) -> None:
    """Devices that cannot reach each other make a link through a TURN server."""
    assert outcome(servers, *options) == "LINKED"


def test_without_a_turn_server_there_is_no_way() -> None:
    """The networks are apart: without a server the dial says that there is no route."""
    assert outcome(IceServers()) == "NO_ROUTE"
