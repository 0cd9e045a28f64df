"""Devices find each other, as processes on real networks made for the test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.support.own_network import own_network

REPOSITORY: Final = Path(__file__).parents[2]


def seen(scenario: str) -> Any:
    """Return what the devices of a scenario saw."""
    finished = subprocess.run(
        [
            *own_network(),
            sys.executable,
            "-m",
            "tests.support.discovery_network",
            scenario,
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_two_devices_on_one_machine() -> None:
    """Loopback is enough for daemons of one machine, and for joining one of them."""
    assert seen("one_machine") == [
        {"found": 2, "at": ["127.0.0.1:4002"]},
        {"found": 1, "at": ["127.0.0.1:4001"]},
        {"offer": ["127.0.0.1:4002"]},
        {"lost": 2},
    ]


def test_two_machines_on_one_lan() -> None:
    """Across a switch each finds the other, and hears it say goodbye."""
    assert seen("one_lan") == [
        {"found": 2, "at": ["10.5.0.2:4002"]},
        {"found": 1, "at": ["10.5.0.1:4001"]},
        {"offer": ["10.5.0.2:4002"]},
        {"lost": 2},
    ]


def test_a_machine_without_multicast() -> None:
    """Where nothing can be heard the cause is told, and the device lives on."""
    assert seen("no_network") == [{"silenced": "no network interface can multicast"}]


def test_a_port_that_is_taken() -> None:
    """A program that shares the port with nobody is named as the cause."""
    expected = "another program keeps UDP port 5353 for itself"

    assert seen("port_taken") == [{"silenced": expected}]
