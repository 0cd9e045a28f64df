"""A service is installed whole or not at all, and only over its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdt.errors import ConflictError, InvalidError, NotFoundError
from daemon import service
from daemon.systemctl import Machine, ServiceError, this_machine
from tests.support.recorded_systemctl import RecordedSystemctl

REPOSITORY = Path(__file__).parents[3]
INSTALLED = [
    "--user --no-pager daemon-reload",
    "--user --no-pager enable fractality.service",
    "--user --no-pager reset-failed fractality.service",
    "--user --no-pager restart fractality.service",
]


@pytest.fixture
def systemctl(tmp_path: Path) -> RecordedSystemctl:
    """A systemctl that does as it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return RecordedSystemctl(folder)


@pytest.fixture
def machine(tmp_path: Path, systemctl: RecordedSystemctl) -> Machine:
    """A person's session on a machine with systemd."""
    program = tmp_path / "venv" / "fractality"
    program.parent.mkdir()
    program.touch()
    return Machine(
        scope="user",
        systemctl=systemctl.command,
        unit_folder=tmp_path / "configuration" / "systemd" / "user",
        template=REPOSITORY / "systemd" / "user" / "fractality.service",
        program=program,
        user_id=1000,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a device, not yet made."""
    return tmp_path / "my home"


def test_installing_writes_the_unit_and_starts_it(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """The unit names this program and this home, and systemd is told in order."""
    told = service.install("user", home, machine)

    unit = machine.unit.read_text()
    assert f'ExecStart=:"{machine.program}" run\n' in unit
    assert f'Environment="FRACTALITY_HOME={home}"\n' in unit
    assert systemctl.asked == INSTALLED
    assert home.stat().st_mode & 0o777 == 0o700
    assert str(machine.unit) in told


def test_installing_again_restarts(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """A second install of the same home renews the unit and restarts the service."""
    service.install("user", home, machine)
    moved = replace(machine, program=machine.program.rename(home / "moved"))

    service.install("user", home, moved)

    assert str(moved.program) in machine.unit.read_text()
    assert systemctl.asked == INSTALLED * 2


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "restart"])
def test_a_service_that_does_not_start_is_not_installed(
    machine: Machine, systemctl: RecordedSystemctl, home: Path, verb: str
) -> None:
    """Whatever step fails, no unit stays, and the cause is told."""
    systemctl.refuse(verb, "Job failed.")

    with pytest.raises(ServiceError, match=r"Job failed\. Nothing was installed"):
        service.install("user", home, machine)

    assert list(machine.unit_folder.iterdir()) == []
    assert "--user --no-pager disable --now fractality.service" in systemctl.asked


def test_what_the_daemon_said_is_told(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """The daemon's own last words are the cause, before systemd's."""
    systemctl.refuse("restart", "Job failed.")
    systemctl.show("The key does not open the store.")

    with pytest.raises(ServiceError, match="start: The key does not open the store"):
        service.install("user", home, machine)


def test_a_failed_renewal_leaves_the_service_as_it_was(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """When a renewed unit does not start, the former one is there again."""
    service.install("user", home, machine)
    before = machine.unit.read_text()
    moved = replace(machine, program=machine.program.rename(home / "moved"))
    systemctl.refuse("restart", "No.")

    with pytest.raises(ServiceError, match="It is as it was"):
        service.install("user", home, moved)

    assert machine.unit.read_text() == before
    assert systemctl.asked == INSTALLED * 3


def test_a_unit_that_cannot_be_written_leaves_nothing(
    machine: Machine, home: Path
) -> None:
    """Where the unit's place is taken by a folder, no draft stays."""
    machine.unit.with_suffix(".new").mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        service.install("user", home, machine)

    assert not machine.unit.exists()


def test_another_homes_service_is_not_touched(
    machine: Machine, systemctl: RecordedSystemctl, home: Path, tmp_path: Path
) -> None:
    """Installing, removing and looking refuse a unit that runs another home."""
    service.install("user", home, machine)
    before = machine.unit.read_text()

    for deed in (service.install, service.remove, service.status):
        with pytest.raises(ConflictError, match="another home's"):
            deed("user", tmp_path / "my home 2", machine)

    assert machine.unit.read_text() == before
    assert systemctl.asked == INSTALLED


def test_removing_takes_the_unit_and_leaves_the_home(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """A removed service is stopped and gone; the home stays."""
    service.install("user", home, machine)
    (home / "graph").touch()

    service.remove("user", home, machine)

    assert not machine.unit.exists()
    assert (home / "graph").exists()
    assert systemctl.asked[len(INSTALLED) :] == [
        "--user --no-pager disable --now fractality.service",
        "--user --no-pager daemon-reload",
    ]


def test_a_service_that_does_not_stop_is_not_removed(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """When systemd refuses to stop it, its unit stays."""
    service.install("user", home, machine)
    systemctl.refuse("disable", "Busy.")

    with pytest.raises(ServiceError, match="Busy"):
        service.remove("user", home, machine)

    assert machine.unit.exists()


def test_without_a_service_there_is_nothing_to_remove_or_look_at(
    machine: Machine, home: Path
) -> None:
    """Removing and looking say that there is none."""
    for deed in (service.remove, service.status):
        with pytest.raises(NotFoundError, match="There is no service"):
            deed("user", home, machine)


def test_status_tells_how_it_is(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """State, restarts, start with the session, and where to look further."""
    service.install("user", home, machine)
    systemctl.show(
        "NRestarts=2\nUnitFileState=enabled\nActiveState=active\n"
        "SubState=running\nStatusText=a=b\n"
    )

    assert service.status("user", home, machine).split("\n") == [
        "active (running): a=b",
        "restarts: 2",
        "starts by itself: yes",
        f"unit: {machine.unit}",
        f"home: {home}",
        "log: journalctl --user --unit fractality",
    ]


def test_without_systemd_nothing_is_written(machine: Machine, home: Path) -> None:
    """On a machine without systemctl one sentence says what to do instead."""
    bare = replace(machine, systemctl=None)

    with pytest.raises(ServiceError, match="has no systemd"):
        service.install("user", home, bare)

    assert not machine.unit_folder.exists()
    assert not home.exists()


def test_outside_of_a_session_nothing_is_written(
    machine: Machine, systemctl: RecordedSystemctl, home: Path
) -> None:
    """Where the person's systemd cannot be reached, the cause and a way are told."""
    systemctl.refuse("show", "Failed to connect to bus: No medium found")

    with pytest.raises(ServiceError, match=r"No medium found\. Log in as yourself"):
        service.install("user", home, machine)

    assert not machine.unit_folder.exists()
    assert not home.exists()


def test_a_program_without_its_units_is_not_installed(
    machine: Machine, home: Path, tmp_path: Path
) -> None:
    """Before anything is done, the program and the unit's template are looked for."""
    for lacking in (
        replace(machine, program=tmp_path / "absent"),
        replace(machine, template=tmp_path / "absent"),
    ):
        with pytest.raises(ServiceError, match="make install"):
            service.install("user", home, lacking)


@pytest.mark.parametrize("character", ["'", '"', "\\"])
def test_a_program_that_systemd_cannot_start_is_not_installed(
    machine: Machine, home: Path, character: str
) -> None:
    """Systemd refuses quotes and backslashes in a program's path: so do we, before."""
    odd = machine.program.rename(machine.program.with_name(f"a{character}b"))

    with pytest.raises(ServiceError, match="systemd cannot start"):
        service.install("user", home, replace(machine, program=odd))

    assert not machine.unit_folder.exists()


def test_the_machines_service_is_roots(machine: Machine) -> None:
    """Only root installs and removes the service of the machine."""
    system = replace(machine, scope="system")

    for deed in (service.install, service.remove):
        with pytest.raises(ServiceError, match="use sudo"):
            deed("system", service.SYSTEM_HOME, system)


def test_the_machines_service_has_its_own_home(machine: Machine, home: Path) -> None:
    """A home of a person is not given to the account of the machine's service."""
    system = replace(machine, scope="system", user_id=0)

    with pytest.raises(InvalidError, match="/var/lib/fractality"):
        service.install("system", home, system)


def test_the_machines_service_must_be_able_to_read_the_program(
    machine: Machine, tmp_path: Path
) -> None:
    """A program behind a closed folder is refused before anything is written."""
    (tmp_path / "venv").chmod(0o700)
    system = replace(machine, scope="system", user_id=0)

    with pytest.raises(ServiceError, match="/opt/fractality"):
        service.install("system", service.SYSTEM_HOME, system)

    assert not machine.unit_folder.exists()


def test_this_machine_is_found(tmp_path: Path) -> None:
    """A person's unit goes to their configuration, the machine's to /etc."""
    environment = {"PATH": "/nowhere", "XDG_CONFIG_HOME": str(tmp_path)}

    user = this_machine("user", environment)

    assert user.unit == tmp_path / "systemd" / "user" / "fractality.service"
    assert user.systemctl is None
    assert this_machine("system", environment).unit_folder == Path(
        "/etc/systemd/system"
    )
