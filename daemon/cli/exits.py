"""What went wrong, told to a person and as an exit status.

=======  ====================  =====================================================
status   problem of the API    error of this machine
=======  ====================  =====================================================
0        any 2xx
1        413 429 5xx, others   any other `FractalityError`; a file cannot be read
2        400 422               `InvalidError`; the arguments make no command
3                              `DaemonAbsentError`
4        401 403 409           `ConflictError`, `StoreInUseError`, `WrongKeyError`
5        404                   `NotFoundError`
130                            Ctrl-C
=======  ====================  =====================================================

400 and 422 are wrong usage wherever it is noticed: here or by the daemon.

Rule: a failure is one sentence on stderr; with `--json` it is a problem document on
stdout instead, the daemon's own where there is one. Arguments that make no command
are always told as text.
"""

import shlex
from enum import IntEnum
from pathlib import Path
from typing import Final

from crdt.errors import (
    ConflictError,
    FractalityError,
    InvalidError,
    NotFoundError,
    StoreInUseError,
    WrongKeyError,
)
from daemon.client import DaemonAbsentError, Document, ProblemError


class Exit(IntEnum):
    """The exit statuses of every command."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    NOT_RUNNING = 3
    REFUSED = 4
    NOT_FOUND = 5
    INTERRUPTED = 130


_BY_PROBLEM: Final = {
    400: Exit.WRONG_USAGE,
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    409: Exit.REFUSED,
    422: Exit.WRONG_USAGE,
}
_BY_ERROR: Final[dict[type[FractalityError], Exit]] = {
    DaemonAbsentError: Exit.NOT_RUNNING,
    InvalidError: Exit.WRONG_USAGE,
    NotFoundError: Exit.NOT_FOUND,
    ConflictError: Exit.REFUSED,
    StoreInUseError: Exit.REFUSED,
    WrongKeyError: Exit.REFUSED,
}


def exit_status(error: FractalityError) -> Exit:
    """Return the exit status that tells `error`."""
    if isinstance(error, ProblemError):
        return _BY_PROBLEM.get(error.status, Exit.FAILED)
    found = (status for kind, status in _BY_ERROR.items() if isinstance(error, kind))
    return next(found, Exit.FAILED)


def sentence(error: FractalityError, default_home: Path) -> str:
    """Return what to tell the person, not yet made safe to print."""
    if isinstance(error, DaemonAbsentError):
        return f"{error} Start it with: {start_command(error.home, default_home)}"
    if isinstance(error, ProblemError) and (field := error.document.get("field")):
        return f"{field}: {error}"
    return str(error)


def start_command(home: Path, default_home: Path) -> str:
    """Return the command that starts the daemon of `home`."""
    option = "" if home == default_home else f" --home {shlex.quote(str(home))}"
    return f"fractality{option} run"


def problem(error: FractalityError, default_home: Path) -> Document:
    """Return `error` as a problem document (RFC 9457)."""
    if isinstance(error, ProblemError):
        return error.document
    title = exit_status(error).name.replace("_", " ").capitalize()
    detail = sentence(error, default_home)
    return {"type": "about:blank", "title": title, "detail": detail}
