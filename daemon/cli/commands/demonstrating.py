"""The command that shows what the program does, with several persons and devices."""

import importlib.util
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from crdt.errors import FractalityError
from daemon.cli.exits import Exit
from daemon.cli.session import Session, pass_session
from daemon.cli.text import safe_line

if TYPE_CHECKING:
    from daemon.demo.town import Town


class NoModelHereError(FractalityError):
    """What embeds texts is not installed."""


@click.command(short_help="Show several persons and devices, on this machine.")
@click.option("--keep", is_flag=True, help="Leave the daemons running at the end.")
@pass_session
def demo(session: Session, *, keep: bool) -> None:
    """Show four persons with six devices: what they think, and what resonates.

    Real daemons with real links, in homes of their own that are removed at the end.
    Nothing of yours is touched. It takes a minute or two; Ctrl-C ends it.
    """
    del session
    _check_model()
    from daemon.cli.demo_screen import stage
    from daemon.demo.story import Story
    from daemon.demo.town import Town

    with _ended_like_interrupted(), Town() as town:
        with stage(is_watched=sys.stdout.isatty()) as shown:
            sight = Story(town, shown).run()
        town.is_kept = keep
        if keep:
            _print_kept(town)
    if not sight.is_one:
        click.get_current_context().exit(Exit.FAILED)


def _check_model() -> None:
    """Raise `NoModelHereError` unless texts can be embedded here."""
    from consensus.model_folder import find_model

    has_library = importlib.util.find_spec("sentence_transformers") is not None
    if not has_library or find_model(None, os.environ) is None:
        message = (
            "The demonstration finds out what its statements mean on this machine, and"
            " what that takes is not installed. In a checkout `make meaning` installs"
            " it; elsewhere `pip install 'fractality[meaning]'`. Nothing was started."
        )
        raise NoModelHereError(message)


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what runs as Ctrl-C does: with all tidied up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _print_kept(town: "Town") -> None:
    click.echo("\nThe daemons go on:")
    for device in town.devices:
        home = shlex.quote(str(device.home))
        url = f"http://127.0.0.1:{device.client.port}"
        click.echo(f"  {safe_line(device.title):16} {url}  --home {home}")
    home = shlex.quote(str(town.devices[0].home))
    processes = " ".join(str(device.process.pid) for device in town.devices)
    click.echo(f"\nLook around:  fractality --home {home} consensus")
    click.echo(f"Stop them:    kill {processes}")
    click.echo(f"Remove them:  rm -r {shlex.quote(str(town.folder))}")
