"""The command that works consensus out again: no daemon, no home, no model."""

from collections.abc import Iterator
from typing import BinaryIO

import click

from daemon.cli.output import print_json


@click.command(short_help="Work out again what resonates, from a file.")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--preset",
    type=click.Choice(["strict", "broad"]),
    default="strict",
    show_default=True,
    help="What the circle was founded with.",
)
def verify(file: BinaryIO, preset: str) -> None:
    """Work out the consensus of the contributions in FILE and print it as JSON.

    FILE has one JSON object on a line: {"record": HEX} is a contribution, {"member":
    HEX, "inviter": HEX or null, "vouched": true or false} tells how an author became a
    member; whoever has no such line is a founder. Two people who get the same
    result_hash have the same consensus, bit for bit. "-" reads the standard input.
    """
    # numpy is slow to load, and no other command waits for it.
    from consensus import verify as verification
    from consensus.rule import Preset

    lines = _lines(file, verification.MAX_LINE_BYTES)
    print_json(verification.verify(lines, Preset[preset.upper()]))


def _lines(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yield the lines of a file, the longest cut behind the limit."""
    while line := file.readline(limit + 1):
        yield line
