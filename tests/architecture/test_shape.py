"""Files stay small enough to be read in one go, and tests say what they hold."""

import ast
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]
LINES_OF_A_MODULE: Final = 400
LINES_OF_A_FUNCTION: Final = 40

FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources(*folders: str) -> list[Path]:
    """Return the Python files of `folders`, this repository's own."""
    found = chain.from_iterable((REPOSITORY / each).rglob("*.py") for each in folders)
    return [path for path in found if "node_modules" not in path.parts]


def named(path: Path) -> str:
    """Return how a test on `path` is called."""
    return str(path.relative_to(REPOSITORY))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, FUNCTION):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has from its `def`, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or 0) - docstring.lineno + 1)


@pytest.mark.parametrize(
    "path", sources("consensus", "crdt", "daemon", "tests", "transport"), ids=named
)
def test_a_module_is_short(path: Path) -> None:
    """No module is longer than 400 lines."""
    assert len(path.read_text().splitlines()) <= LINES_OF_A_MODULE


@pytest.mark.parametrize(
    "path", sources("consensus", "crdt", "daemon", "transport"), ids=named
)
def test_a_function_is_short(path: Path) -> None:
    """No function is longer than 40 lines, its docstring left out."""
    too_long = {
        each.name: lines
        for each in functions(path)
        if (lines := length(each)) > LINES_OF_A_FUNCTION
    }
    assert too_long == {}


@pytest.mark.parametrize("path", sources("tests"), ids=named)
def test_a_test_states_its_law(path: Path) -> None:
    """Every test has a docstring."""
    tests = (each for each in functions(path) if each.name.startswith("test_"))
    assert [each.name for each in tests if not ast.get_docstring(each)] == []
