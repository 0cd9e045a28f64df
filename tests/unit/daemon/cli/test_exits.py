"""What went wrong, as an exit status."""

import inspect
import re
from pathlib import Path

import pytest

import crdt.errors
from crdt.errors import FractalityError, InvalidError, StoreInUseError
from daemon.cli import exits
from daemon.cli.exits import Exit, exit_status, problem, start_command
from daemon.client import ProblemError

TABLE = exits.__doc__ or ""


@pytest.mark.parametrize("http_status", [*range(400, 430), *range(500, 512)])
def test_the_table_of_the_module_is_the_code(http_status: int) -> None:
    """A problem ends with the status whose row names it, any other one with 1."""
    rows = re.findall(r"^\d+   .*", TABLE, re.MULTILINE)
    named = {int(row.split()[0]) for row in rows if f" {http_status} " in f"{row} "}

    error = ProblemError({"title": "Refused", "status": http_status})
    assert exit_status(error) == (named or {Exit.FAILED}).pop()


def test_every_error_has_a_status() -> None:
    """No error of the project can end a command as done."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(crdt.errors, inspect.isclass)
        if issubclass(kind, FractalityError) and kind is not InvalidError
    ]
    assert FractalityError in kinds
    for kind in kinds:
        assert exit_status(kind("text")) != Exit.DONE
    assert exit_status(InvalidError("key", "must not be empty")) == Exit.WRONG_USAGE


def test_an_error_of_this_machine_becomes_a_problem_document() -> None:
    """Scripts are given one shape, wherever the failure happened."""
    assert problem(StoreInUseError("In use."), Path("/home")) == {
        "type": "about:blank",
        "title": "Refused",
        "detail": "In use.",
    }


def test_the_start_command_can_be_pasted() -> None:
    """The home is named unless it is the default, and quoted where it must be."""
    assert start_command(Path("/a"), Path("/a")) == "fractality run"
    assert start_command(Path("/b c"), Path("/a")) == "fractality --home '/b c' run"
