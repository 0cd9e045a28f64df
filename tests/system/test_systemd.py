"""systemd itself reads the units as they are meant, and finds little to complain of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from daemon.unit_file import fill

REPOSITORY: Final = Path(__file__).parents[2]
SCOPES: Final = ("user", "system")
EXPOSED_AT_MOST: Final = {"user": 6.0, "system": 1.3}
"""As `systemd-analyze security` counts, 0 to 10. A person's manager has no privileges
to drop, and that is what most of the user unit's figure is made of."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd's examiner of units."""
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.fail("systemd-analyze is needed: Debian's package systemd has it")
    return subprocess.run(
        [command, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def rendered(scope: str, folder: Path) -> Path:
    """Write a unit whose paths have everything that is hard to quote."""
    home = folder / """a "b" 'c' d\\e 100%n $HOME"""
    program = folder / "a b 100%n $HOME" / "fractality"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / "fractality.service"
    template = (REPOSITORY / "systemd" / scope / unit.name).read_text()
    unit.write_text(fill(template, {"EXECUTABLE": program, "HOME": home}))
    return unit


@pytest.mark.parametrize("scope", SCOPES)
def test_systemd_accepts_the_unit(scope: str, tmp_path: Path) -> None:
    """The unit has no fault that systemd knows, and its program is found."""
    unit = rendered(scope, tmp_path)

    examined = analyze("verify", "--man=no", unit)

    assert (examined.returncode, examined.stderr) == (0, "")


@pytest.mark.parametrize("scope", SCOPES)
def test_systemd_would_find_a_fault(scope: str, tmp_path: Path) -> None:
    """The examination is one: a unit with a program that is not there fails it."""
    unit = rendered(scope, tmp_path)
    unit.write_text(unit.read_text().replace('" run', '-absent" run'))

    assert analyze("verify", "--man=no", unit).returncode != 0


@pytest.mark.parametrize("scope", SCOPES)
def test_the_service_is_fenced_in(scope: str, tmp_path: Path) -> None:
    """The exposure that systemd counts stays at what was reached."""
    unit = rendered(scope, tmp_path)

    examined = analyze("security", "--offline=yes", "--no-pager", unit)

    found = re.search(r"exposure level .*: ([0-9.]+)", examined.stdout)
    assert found is not None, examined.stderr
    assert float(found[1]) <= EXPOSED_AT_MOST[scope]


def test_the_watchdog_is_told_in_time() -> None:
    """Each unit is watched, has more time to stop than the daemon takes, no dump."""
    for scope in SCOPES:
        unit = (REPOSITORY / "systemd" / scope / "fractality.service").read_text()
        lines = set(unit.splitlines())

        assert {
            "Type=notify",
            "NotifyAccess=main",
            "WatchdogSec=30s",
            "TimeoutStopSec=15s",
            "LimitCORE=0",
        } <= lines


@pytest.mark.parametrize("scope", SCOPES)
def test_the_installed_units_are_these(scope: str) -> None:
    """What `service install` fills in is what stands in this repository."""
    name = Path("systemd", scope, "fractality.service")
    installed = Path(sys.prefix, "share", "fractality", name)

    assert installed.exists(), "not installed: run `make install`"
    assert installed.read_text() == (REPOSITORY / name).read_text()
