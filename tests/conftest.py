"""How long properties are tried, and what runs beside what.

Properties are tried as usual, and a hundred times as long by `make soak`. No example
has a deadline: the machines that run the tests do other things as well.
"""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=10_000)
settings.load_profile("project")

_WHOLE_FILES: Final = {"interop", "system"}
"""Folders whose files start daemons that all their tests use."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a file that starts daemons to one of several workers."""
    for item in items:
        if _WHOLE_FILES & set(Path(item.path).parts):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
