"""The command line: every command, and nothing that only the daemon needs.

What must not be imported when a command starts: aiohttp, apsw, cryptography, numpy,
pycrdt (the daemon's), nor rich (for progress bars, where somebody is watching).
"""

import io
import sys

from daemon.cli.root import cli


def main() -> None:
    """Run the command that this process was started with."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name="fractality")
