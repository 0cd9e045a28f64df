"""What systemd is told about this process.

Specification: sd_notify(3), sd_watchdog_enabled(3).

Rule: telling never waits and never raises. Outside systemd nobody is told.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"


def status(text: str) -> str:
    """Return the state that shows one line to the person in `systemctl status`."""
    return "STATUS=" + " ".join(text.split())


def notify(environment: Mapping[str, str], *states: str) -> bool:
    """Tell systemd of `states`; return whether it was told."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # abstract: a name that is no file
        address = "\0" + address[1:]
    message = "\n".join(states).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(0)
            channel.connect(address)
            return channel.send(message) == len(message)
    except OSError:
        return False


def watchdog_interval(environment: Mapping[str, str], process_id: int) -> float | None:
    """Return after how many seconds to send `ALIVE` each time, None for never.

    It is half of what systemd waits, so that one late turn of the loop is no death.
    """
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(process_id)) != str(process_id):
        return None  # meant for the process that started this one
    if not (microseconds.isascii() and microseconds.isdecimal()):
        return None
    return int(microseconds) / 2_000_000 or None


def writes_to_journal(environment: Mapping[str, str], descriptor: int) -> bool:
    """Whether what is written to `descriptor` is kept in systemd's journal.

    Specification: systemd.exec(5), `$JOURNAL_STREAM`.
    """
    stream = os.fstat(descriptor)
    return environment.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
