"""Networks that exist for one test only."""

import subprocess
from functools import cache

import pytest


@cache
def own_network() -> tuple[str, ...]:
    """Return the command that gives a program a network of its own.

    The test fails with a sentence where no such thing is allowed.
    """
    for command in (
        ("unshare", "--map-root-user", "--net"),
        ("unshare", "--net"),
    ):
        tried = subprocess.run(
            [*command, "ip", "link"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return command
    return pytest.fail(
        "This machine lets no program have a network of its own (unshare --net): allow"
        " user namespaces, or run the tests as root with CAP_SYS_ADMIN."
    )
