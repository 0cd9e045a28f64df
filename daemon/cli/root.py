"""The command `fractality` itself: its options, its commands, its last resort.

Rule: whatever a command raises on purpose ends here as one sentence and an exit
status (see `exits`); only a fault of this program shows a traceback.
"""

import errno
import os
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from crdt.errors import FractalityError
from daemon.cli.commands import (
    circles,
    completion,
    consensus,
    demonstrating,
    device,
    devices,
    networks,
    observing,
    pairing,
    reading,
    transfer,
    verifying,
    writing,
)
from daemon.cli.exits import Exit, exit_status, problem, sentence
from daemon.cli.local import Installed
from daemon.cli.output import print_json
from daemon.cli.session import Session, default_home
from daemon.cli.text import safe_line

SECTIONS: Final = {
    "Thoughts": (
        writing.add,
        reading.show,
        reading.list_nodes,
        writing.edit,
        writing.remove,
        writing.restore_node,
        writing.link,
        writing.pulse,
    ),
    "Finding": (
        reading.search,
        reading.resonant,
        reading.neighbours,
        reading.path,
        networks.networks,
    ),
    "Circles": (
        circles.circle,
        consensus.publish,
        consensus.withdraw,
        consensus.consensus,
        consensus.vote,
        consensus.integrate,
        verifying.verify,
    ),
    "Files": (
        transfer.import_file,
        transfer.export,
        transfer.backup,
        device.restore,
    ),
    "Devices": (
        pairing.pair,
        pairing.join,
        devices.devices,
        devices.why,
        devices.sync,
        devices.peers,
        devices.revoke,
    ),
    "This device": (
        device.init,
        device.run,
        observing.status,
        observing.events,
        device.doctor,
        observing.token,
        device.service,
        completion.completion,
        demonstrating.demo,
    ),
}


class Commands(click.Group):
    """All commands, by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `SECTIONS`."""
        return list(self.commands)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write one list per section."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(each.name), each.get_short_help_str(60)) for each in commands]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end what it raises."""
        try:
            return super().invoke(ctx)
        except FractalityError as error:
            _fail(ctx, error)
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)
        except click.Abort as abort:
            # click raises it for both Ctrl-C and the end of the input at a prompt.
            ended = isinstance(abort.__context__, EOFError)
            click.echo("\nStopped: no answer was given.", err=True)
            ctx.exit(Exit.FAILED if ended else Exit.INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # the reader of our output has gone: click ends in silence
            named = f": {error.filename}" if error.filename else ""
            _say(f"{error.strerror or error}{named}")
            ctx.exit(Exit.FAILED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="FRACTALITY_HOME",
    help="Where this device keeps everything.  [default: the XDG state directory]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
@click.pass_context
def cli(ctx: click.Context, *, home: Path | None, as_json: bool) -> None:
    """Your knowledge graph: on your devices, encrypted, offline first."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.obj = Session(
        home=(home or default_home()).absolute(),
        as_json=as_json,
        local=ctx.obj or Installed(),
    )


for _commands in SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def _fail(ctx: click.Context, error: FractalityError) -> NoReturn:
    if ctx.params["as_json"]:
        print_json(problem(error, default_home()))
    else:
        _say(sentence(error, default_home()))
    ctx.exit(exit_status(error))


def _say(text: str) -> None:
    click.echo(click.style("Error: ", fg="red") + safe_line(text), err=True)
