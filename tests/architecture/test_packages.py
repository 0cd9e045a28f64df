"""The four top-level names are ours alone, wherever the program is installed."""

from importlib import import_module, metadata
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]
NAMES: Final = ("consensus", "crdt", "daemon", "relay", "transport")
"""What the project has or will have at the top level."""


@pytest.mark.parametrize(
    "name", [name for name in NAMES if (REPOSITORY / name).exists()]
)
def test_a_package_is_this_repositorys(name: str) -> None:
    """Importing the name brings the code of this repository."""
    assert import_module(name).__file__ == str(REPOSITORY / name / "__init__.py")


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_brings_the_name(name: str) -> None:
    """Nothing that is installed beside us has a package of that name."""
    assert set(metadata.packages_distributions().get(name, [])) <= {"fractality"}


def test_tests_shadow_no_package() -> None:
    """No folder of tests is a package, for `tests/crdt` would then stand for `crdt`."""
    assert list((REPOSITORY / "tests").rglob("[!.]*/__init__.py")) == []
