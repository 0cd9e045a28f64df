"""The examples do what they say."""

import subprocess
import sys
from pathlib import Path

from tests.support.daemons import environment
from tests.support.replicas import scratch_folder
from tests.support.townspeople import townspeople

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_thought_lives_through_ice_water_and_vapor() -> None:
    """It ends well, and tells of each state, the votes and the way back."""
    with scratch_folder() as folder, townspeople(folder, 3) as persons:
        ran = subprocess.run(
            [
                sys.executable,
                str(EXAMPLES / "consciousness_flow.py"),
                *(str(person.home) for person in persons),
            ],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert ran.returncode == 0, ran.stderr
    told = ran.stdout.splitlines()
    assert {line.split()[0] for line in told} == {"ice", "water", "vapor"}
    assert "resonates among 3 persons" in ran.stdout
    assert "vapor  1 affirms, 1 dissents" in told


def test_without_homes_it_says_what_it_takes() -> None:
    """It ends with its own description."""
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "consciousness_flow.py")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "fractality demo --keep" in ran.stderr
