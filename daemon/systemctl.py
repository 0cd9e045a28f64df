"""Asking systemd to do something, or how something is.

Specification: systemctl(1).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from crdt.errors import FractalityError

Scope: TypeAlias = Literal["user", "system"]

UNIT: Final = "fractality.service"
PATIENCE_SECONDS: Final = 180
"""Longer than the unit's own limits for stopping and starting together."""


class ServiceError(FractalityError):
    """Systemd could not be asked, or refused."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a service is made of and told to."""

    scope: Scope
    systemctl: Path | None
    unit_folder: Path
    template: Path
    program: Path
    user_id: int

    @property
    def unit(self) -> Path:
        """The unit file, whether it is there or not."""
        return self.unit_folder / UNIT

    @property
    def journal(self) -> str:
        """The command that shows what the service logged."""
        return f"journalctl {'--user ' * (self.scope == 'user')}--unit fractality"


def this_machine(scope: Scope, environment: Mapping[str, str]) -> Machine:
    """Return the machine that this process runs on."""
    systemctl = shutil.which("systemctl", path=environment.get("PATH"))
    configuration = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folders = {
        "user": configuration / "systemd" / "user",
        "system": Path("/etc/systemd/system"),
    }
    return Machine(
        scope=scope,
        systemctl=Path(systemctl) if systemctl else None,
        unit_folder=folders[scope],
        template=Path(sys.prefix, "share", "fractality", "systemd", scope, UNIT),
        program=Path(sys.prefix, "bin", "fractality"),
        user_id=os.geteuid(),
    )


def check_answers(machine: Machine) -> None:
    """Raise `ServiceError`, with what to do, if systemd does not answer."""
    if machine.systemctl is None:
        msg = "This machine has no systemd: start `fractality run` in your own way."
        raise ServiceError(msg)
    try:
        systemctl(machine, "show", "--property=Version")
    except ServiceError as error:
        advice = {
            "user": "Log in as yourself, not by way of sudo or su, and try again.",
            "system": "Is this machine run by systemd?",
        }
        msg = f"systemd does not answer: {error} {advice[machine.scope]}"
        raise ServiceError(msg) from None


def systemctl(machine: Machine, *arguments: str) -> str:
    """Return what systemctl printed, or raise `ServiceError` with its complaint."""
    scope = ["--user"] if machine.scope == "user" else []
    try:
        ended = subprocess.run(  # noqa: S603  # our own words to systemd's own command
            [str(machine.systemctl), *scope, "--no-pager", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"systemctl did not end within {PATIENCE_SECONDS} s."
        raise ServiceError(msg) from None
    if ended.returncode != 0:
        complaint = ended.stderr.strip().split("\n")[0]
        complaint = complaint or f"systemctl ended with status {ended.returncode}"
        raise ServiceError(complaint.rstrip(".") + ".")
    return ended.stdout.strip()
