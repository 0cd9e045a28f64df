"""Devices that look for each other, in networks made for them.

Run as `unshare --net python -m tests.support.discovery_network SCENARIO`; prints what
the devices saw, as JSON.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.turn_network import hear, run, tell, wait_for_network

REPOSITORY = Path(__file__).parents[2]
Process = subprocess.Popen[str]


@contextmanager
def device(number: int, port: int, *, is_elsewhere: bool = False) -> Iterator[Process]:
    """Run a device here, or in a network of its own that waits for an address."""
    prefix = ["unshare", "--net"] if is_elsewhere else []
    program = [sys.executable, "-m", "tests.support.discovering"]
    with subprocess.Popen(
        [*prefix, *program, str(number), str(port)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def saw(process: Process) -> object:
    """Return the next thing that a device tells."""
    return json.loads(hear(process))


def meet(one: Process, other: Process) -> list[object]:
    """Let two devices find each other, then a third one find an offer, then part."""
    seen = [saw(one), saw(other)]
    with device(2, 0) as joining:
        tell(joining, "\n")
        seen.append(saw(joining))
    assert other.stdin is not None
    other.stdin.close()
    seen.append(saw(one))
    return seen


def one_machine() -> list[object]:
    """Two devices on a machine without any network but its own."""
    run("ip", "link", "set", "lo", "up")
    with device(1, 4001) as one, device(2, 4002) as other:
        tell(one, "\n")
        tell(other, "\n")
        return meet(one, other)


def one_lan() -> list[object]:
    """Two machines on a switch, and we are a third one."""
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "address", "add", "10.5.0.9/24", "dev", "switch")
    run("ip", "link", "set", "switch", "up")
    with (
        device(1, 4001, is_elsewhere=True) as one,
        device(2, 4002, is_elsewhere=True) as other,
    ):
        for number, process in ((1, one), (2, other)):
            wait_for_network(process.pid)
            inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip"]
            here, there = f"here{number}", f"there{number}"
            run("ip", "link", "add", here, "type", "veth", "peer", "name", there)
            run("ip", "link", "set", there, "netns", str(process.pid))
            run("ip", "link", "set", here, "master", "switch")
            run("ip", "link", "set", here, "up")
            run(*inside, "address", "add", f"10.5.0.{number}/24", "dev", there)
            run(*inside, "link", "set", there, "up")
            tell(process, "\n")
        return meet(one, other)


def no_network() -> list[object]:
    """A machine where nothing can be multicast."""
    with device(1, 4001) as one:
        tell(one, "\n")
        return [saw(one)]


def port_taken() -> list[object]:
    """A machine where another program keeps the port of mDNS for itself."""
    run("ip", "link", "set", "lo", "up")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 5353))
        return no_network()


SCENARIOS = {
    each.__name__: each for each in (one_machine, one_lan, no_network, port_taken)
}


if __name__ == "__main__":
    print(json.dumps(SCENARIOS[sys.argv[1]]()))  # noqa: T201 - it is what the test reads
