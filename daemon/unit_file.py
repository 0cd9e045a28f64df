"""The text of a systemd unit, from its template and the paths of this machine.

Specification: systemd.syntax(7), systemd.service(5) "Command lines", systemd.unit(5)
"Specifiers". In a template, `@NAME@` stands between double quotes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crdt.errors import InvalidError

_PLACEHOLDER: Final = re.compile("@([A-Z]+)@")


def fill(template: str, paths: Mapping[str, Path]) -> str:
    """Return `template` with each `@NAME@` replaced by the path of that name.

    Raises `InvalidError` for a path that no unit can hold, `KeyError` for a name
    without a path.
    """
    escaped = {name: _escape(name, path) for name, path in paths.items()}
    return _PLACEHOLDER.sub(lambda found: escaped[found[1]], template)


def _escape(name: str, path: Path) -> str:
    """Return `path` as it is written inside double quotes."""
    text = str(path)
    if not (path.is_absolute() and text.isprintable()):
        detail = "must be absolute and of printable characters, to be in a systemd unit"
        raise InvalidError(name.lower(), detail)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
