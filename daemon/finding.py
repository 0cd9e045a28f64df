"""One thing that `doctor` looked at."""

from collections.abc import Callable

import msgspec

from crdt.errors import FractalityError


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, what was found and, if it is not as it should be, a fix."""

    ok: bool
    title: str
    detail: str
    fix: str | None = None


class AmissError(FractalityError):
    """What was looked at is not as it should be."""


def looked(title: str, look: Callable[[], str], fix: str) -> Finding:
    """Return what `look` finds; any error of ours is a finding that needs `fix`."""
    try:
        return Finding(ok=True, title=title, detail=look())
    except FractalityError as error:
        return Finding(ok=False, title=title, detail=str(error), fix=fix)
    except OSError as error:
        detail = f"{error.filename}: {error.strerror}."
        return Finding(ok=False, title=title, detail=detail, fix=fix)
