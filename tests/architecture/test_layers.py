"""Who imports whom, as pyproject.toml draws it."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]


def test_the_contracts_are_kept() -> None:
    """Every import-linter contract of pyproject.toml holds."""
    lint = Path(sys.prefix, "bin", "lint-imports")

    checked = subprocess.run(
        [lint, "--no-logo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("package", ["consensus", "crdt", "transport"])
def test_every_module_is_a_core_or_an_edge(package: str) -> None:
    """A new module says on which side of the line it stands."""
    cores, edges = rings(f"{package}-cores", package)
    modules = {
        f"{package}.{path.stem}"
        for path in (REPOSITORY / package).glob("*.py")
        if path.stem != "__init__"
    }

    assert cores.isdisjoint(edges)
    assert cores | edges == modules


def rings(contract_id: str, package: str) -> tuple[set[str], set[str]]:
    """Return the modules that a contract calls cores, and those it forbids them."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    contract = next(each for each in contracts if each["id"] == contract_id)
    forbidden = contract["forbidden_modules"]
    edges = {each for each in forbidden if each.startswith(f"{package}.")}
    return set(contract["source_modules"]), edges
