"""The daemon as a service of systemd: installed, removed, looked at.

Rules of this file:

1. A service is installed when its unit file is there and it has started. If it does
   not start, what was there before is there again.
2. A unit file belongs to one home; another home's is never touched.
3. Removing takes away the service and nothing of the home.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

import crdt
from crdt.errors import ConflictError, InvalidError, NotFoundError
from daemon.systemctl import (
    UNIT,
    Machine,
    Scope,
    ServiceError,
    check_answers,
    systemctl,
    this_machine,
)
from daemon.unit_file import fill

SYSTEM_HOME: Final = Path("/var/lib/fractality")
_HIDDEN: Final = (Path("/home"), Path("/root"), Path("/run/user"))
"""What the system's unit does not see (`ProtectHome=`)."""

_UNSTARTABLE: Final = frozenset("\"'\\")
"""What the path of a program that systemd starts must not hold."""


def install(scope: Scope, home: Path, machine: Machine | None = None) -> str:
    """Install and start the service of `home`, anew if it is there; tell the outcome.

    Raises `ServiceError`, `ConflictError` if the service runs another home, or
    `InvalidError` for a home that it cannot have.
    """
    machine = machine or this_machine(scope, os.environ)
    _check_home(machine, home)
    _check_rights(machine)
    _check_program(machine)
    check_answers(machine)
    previous = _installed(machine, home)
    text = _unit_text(machine, home)
    if scope == "user":
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _put_unit(machine, text)
        _start(machine)
    except ServiceError as error:
        cause = _status_text(machine) or str(error)
        _take_back(machine, previous)
        before = "Nothing was installed" if previous is None else "It is as it was"
        msg = f"The service did not start: {cause} {before}; see {machine.journal}."
        raise ServiceError(msg) from None
    except BaseException:
        _take_back(machine, previous)
        raise
    return _told_after_install(machine, home)


def remove(scope: Scope, home: Path, machine: Machine | None = None) -> str:
    """Stop and remove the service of `home`; tell what stays.

    Raises `NotFoundError` if there is none, `ServiceError`, or `ConflictError` if it
    is another home's.
    """
    machine = machine or this_machine(scope, os.environ)
    _check_home(machine, home)
    _check_rights(machine)
    _required(machine, home)
    check_answers(machine)
    systemctl(machine, "disable", "--now", UNIT)
    machine.unit.unlink()
    systemctl(machine, "daemon-reload")
    return f"Removed {machine.unit}.\n{home} stays, with everything in it."


def status(scope: Scope, home: Path, machine: Machine | None = None) -> str:
    """Tell how the service of `home` is.

    Raises `NotFoundError` if there is none, `ServiceError`, or `ConflictError` if it
    is another home's.
    """
    machine = machine or this_machine(scope, os.environ)
    _check_home(machine, home)
    _required(machine, home)
    check_answers(machine)
    names = ("ActiveState", "SubState", "StatusText", "UnitFileState", "NRestarts")
    shown = systemctl(machine, "show", UNIT, "--property=" + ",".join(names))
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    state, sub_state, text, enabled, restarts = (found.get(name, "") for name in names)
    return "\n".join(
        [
            f"{state} ({sub_state}){text and ': '}{text}",
            f"restarts: {restarts or 0}",
            f"starts by itself: {'yes' if enabled == 'enabled' else 'no'}",
            f"unit: {machine.unit}",
            f"home: {home}",
            f"log: {machine.journal}",
        ]
    )


def _check_home(machine: Machine, home: Path) -> None:
    if machine.scope == "system" and home != SYSTEM_HOME:
        raise InvalidError("home", f"the machine's service keeps it in {SYSTEM_HOME}")


def _check_rights(machine: Machine) -> None:
    if machine.scope == "system" and machine.user_id != 0:
        msg = "A service of the machine is root's to install and remove: use sudo."
        raise ServiceError(msg)


def _check_program(machine: Machine) -> None:
    """Raise `ServiceError` if the service could not start the program."""
    if not machine.program.exists() or not machine.template.exists():
        msg = f"{machine.program} is not fully installed: run `make install` first."
        raise ServiceError(msg)
    if not _UNSTARTABLE.isdisjoint(str(machine.program)):
        msg = f"Install the program elsewhere: systemd cannot start {machine.program}."
        raise ServiceError(msg)
    if machine.scope == "user":
        return
    package = Path(crdt.__file__).parent
    for path in (machine.program, package, Path(sys.base_prefix)):
        if not _is_seen_by_all(path.resolve()):
            msg = (
                f"{path} cannot be read by the service's own account. Install the "
                "program where everybody may read it, for example in /opt/fractality."
            )
            raise ServiceError(msg)


def _is_seen_by_all(path: Path) -> bool:
    if any(path.is_relative_to(folder) for folder in _HIDDEN):
        return False
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def _unit_text(machine: Machine, home: Path) -> str:
    paths = {"EXECUTABLE": machine.program, "HOME": home}
    return fill(machine.template.read_text(), paths)


def _installed(machine: Machine, home: Path) -> str | None:
    """Return the unit file of `home`, None if there is none."""
    try:
        text = machine.unit.read_text()
    except FileNotFoundError:
        return None
    if fill('\nEnvironment="FRACTALITY_HOME=@HOME@"\n', {"HOME": home}) not in text:
        msg = f"{machine.unit} is another home's: its `service remove` comes first."
        raise ConflictError(msg)
    return text


def _required(machine: Machine, home: Path) -> None:
    if _installed(machine, home) is None:
        raise NotFoundError(f"There is no service: {machine.unit} does not exist.")


def _put_unit(machine: Machine, text: str) -> None:
    """Write the unit file, whole or not at all."""
    machine.unit_folder.mkdir(parents=True, exist_ok=True)
    draft = machine.unit.with_suffix(".new")
    try:
        draft.write_text(text)
        draft.replace(machine.unit)
    finally:
        draft.unlink(missing_ok=True)


def _start(machine: Machine) -> None:
    """Have systemd read the unit and start it, now and from now on."""
    systemctl(machine, "daemon-reload")
    systemctl(machine, "enable", UNIT)
    with contextlib.suppress(ServiceError):  # it does not know a unit that never failed
        systemctl(machine, "reset-failed", UNIT)
    systemctl(machine, "restart", UNIT)


def _take_back(machine: Machine, previous: str | None) -> None:
    """Make the unit file what it was, and start again what it started."""
    # The first failure is the one to tell: what fails here is not.
    if previous is not None:
        _put_unit(machine, previous)
        with contextlib.suppress(ServiceError):
            _start(machine)
        return
    with contextlib.suppress(ServiceError):
        systemctl(machine, "disable", "--now", UNIT)
    machine.unit.unlink(missing_ok=True)
    for step in (("daemon-reload",), ("reset-failed", UNIT)):
        with contextlib.suppress(ServiceError):
            systemctl(machine, *step)


def _status_text(machine: Machine) -> str:
    """Return what the daemon last told systemd of itself."""
    with contextlib.suppress(ServiceError):
        return systemctl(machine, "show", UNIT, "--property=StatusText", "--value")
    return ""


def _told_after_install(machine: Machine, home: Path) -> str:
    if machine.scope == "system":
        return (
            f"Installed {machine.unit}, and started it.\n"
            f"Speak to it as root: fractality --home {home} status"
        )
    return (
        f"Installed {machine.unit}, and started it.\n"
        "It runs while you are logged in; with `loginctl enable-linger`, always."
    )
