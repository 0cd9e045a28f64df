"""Commands that work on this machine, whether the daemon runs or not."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from crdt.errors import InvalidError
from daemon.cli.exits import Exit, start_command
from daemon.cli.local import KeySource, NewDevice, Scope, Verb
from daemon.cli.output import hint, print_fields, print_json
from daemon.cli.session import Session, default_home, pass_session
from daemon.cli.text import safe_line

WORD_COUNT: Final = 24
_WORDS_A_ROW: Final = 4

_Command = TypeVar("_Command", bound=Callable[..., Any])


def key_options(command: _Command) -> _Command:
    """Give a command the options that choose where the key of the store is kept."""
    choices = {
        "key-file": "Keep the store's key in a file of this home.",
        "keyring": "Keep the store's key in the desktop's keyring.",
        "passphrase": "Derive the store's key from a passphrase, asked at each start.",
    }
    for source, text in choices.items():
        command = click.option(
            f"--{source}", "key_source", flag_value=source, help=text
        )(command)
    return command


def ask_passphrase() -> str:
    """Ask twice for a new passphrase."""
    answer: str = click.prompt(
        "New passphrase", hide_input=True, confirmation_prompt=True, err=True
    )
    return answer


@click.command(short_help="Make a new person and their first device.")
@click.option("--name", help="Name of this device.  [default: the machine's]")
@click.option("--yes", is_flag=True, help="Do not ask whether the words are noted.")
@key_options
@pass_session
def init(
    session: Session, *, name: str | None, yes: bool, key_source: KeySource | None
) -> None:
    """Make a new person and this device, and show the person's 24 words, once.

    The words are the only way back when every device is lost.
    """
    made = session.local.initialise(session.home, name, key_source, ask_passphrase)
    if session.as_json:
        print_json(_made(made) | {"words": made.words})
        return
    _print_words(made.words)
    _print_made(session, made)
    while not yes and not click.confirm("\nHave you written the words down?"):
        _print_words(made.words)


def _made(made: NewDevice) -> dict[str, str]:
    return {"person": made.person, "device": made.device, "key_source": made.key_source}


def _print_made(session: Session, made: NewDevice) -> None:
    fields = [*_made(made).items(), ("home", str(session.home))]
    print_fields((name.replace("_", " "), safe_line(value)) for name, value in fields)
    click.echo(f"\nStart it with: {start_command(session.home, default_home())}")


def _print_words(words: str) -> None:
    click.echo("Your 24 words. Write them down; they are shown only this once.")
    click.echo(
        "Who has them can read everything; without them a lost device is lost.\n"
    )
    numbered = [f"{n:>2} {word:<9}" for n, word in enumerate(words.split(), start=1)]
    for start in range(0, len(numbered), _WORDS_A_ROW):
        row = "  ".join(numbered[start : start + _WORDS_A_ROW])
        click.echo(f"  {row}".rstrip())
    click.echo()


@click.command(short_help="Run the daemon, in the foreground.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Of the API.  [default: 7373]"
)
@click.option(
    "--peer-port", type=click.IntRange(0, 65535), help="For peers.  [default: 7374]"
)
@click.option(
    "--no-discovery", is_flag=True, help="Neither look for peers nor be seen."
)
@click.option("--relay", metavar="URL", help="A relay to go through.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings.  [default: config.toml in the home]",
)
@pass_session
def run(session: Session, /, *, no_discovery: bool, **flags: object) -> None:
    """Run the daemon of this home until Ctrl-C; a new home is initialised first.

    Port 0 picks a free one. Both are written to run.json in the home.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if no_discovery:
        given["discovery"] = False
    click.get_current_context().exit(session.local.run(session.home, given))


@click.command(short_help="Make a new device from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name of this device.  [default: the machine's]")
@key_options
@pass_session
def restore(
    session: Session, *, file: Path, name: str | None, key_source: KeySource | None
) -> None:
    """Make a new device in a new home from the backup FILE.

    Reads the person's 24 words from the standard input.
    """
    words = _read_words()
    made = session.local.restore(
        session.home,
        file,
        words,
        name=name,
        key_source=key_source,
        ask_passphrase=ask_passphrase,
    )
    if session.as_json:
        print_json(_made(made))
        return
    click.echo("Restored. This is a new device of the same person.\n")
    _print_made(session, made)


def _read_words() -> str:
    """Return the 24 words from the standard input, on one line or on several."""
    if sys.stdin.isatty():
        hint("The 24 words, on one line or on several:")
    words: list[str] = []
    while len(words) < WORD_COUNT and (line := sys.stdin.readline()):
        words += line.lower().split()
    if len(words) != WORD_COUNT:
        raise InvalidError("words", f"there are {WORD_COUNT} of them, not {len(words)}")
    return " ".join(words)


@click.command(short_help="Look for what is wrong.")
@pass_session
def doctor(session: Session) -> None:
    """Examine this home and its surroundings; status 1 if something is wrong."""
    findings = session.local.examine(session.home)
    names = ("ok", "title", "detail", "fix")
    if session.as_json:
        print_json([{name: getattr(each, name) for name in names} for each in findings])
    else:
        for each in findings:
            mark = (
                click.style("✓", fg="green") if each.ok else click.style("✗", fg="red")
            )
            click.echo(f"{mark} {safe_line(each.title)}: {safe_line(each.detail)}")
            if each.fix:
                click.echo(f"    {safe_line(each.fix)}")
    if not all(each.ok for each in findings):
        click.get_current_context().exit(Exit.FAILED)


@click.command(short_help="Start the daemon with the session or the machine.")
@click.argument("verb", type=click.Choice(["install", "remove", "status"]))
@click.option("--system", is_flag=True, help="For the machine instead of this user.")
@pass_session
def service(session: Session, *, verb: Verb, system: bool) -> None:
    """Install or remove the systemd unit that runs the daemon, or tell its state."""
    scope: Scope = "system" if system else "user"
    told = session.local.service(verb, scope, session.home)
    if session.as_json:
        print_json({"scope": scope, "told": told})
        return
    click.echo("\n".join(map(safe_line, told.split("\n"))))
