"""Commands that make two devices one person's: one invites, the other joins."""

import contextlib
import shutil
import sys
import time
from typing import Any, Final

import click

from crdt.errors import FractalityError
from daemon.cli.commands.device import ask_passphrase, key_options
from daemon.cli.exits import Exit, start_command
from daemon.cli.local import JoinedDevice, KeySource
from daemon.cli.output import hint, print_fields, print_json
from daemon.cli.session import Session, default_home, pass_session
from daemon.cli.text import safe_line, width
from daemon.client import Client, DaemonAbsentError, Document

_WAIT_SECONDS: Final = 25
_RESTART_SECONDS: Final = 30.0
_JOIN_SECONDS: Final = 180.0
_OPEN: Final = {"open", "joining"}


@click.command(short_help="Invite another device of yours.")
@pass_session
def pair(session: Session) -> None:
    """Show a code by which another device becomes one of yours, and wait for it.

    The code is good for one device, ten minutes and five tries. Ctrl-C takes it back.
    """
    client = session.client()
    opened = client.call("POST", "/v1/pairing")
    if session.as_json:
        print_json(opened)
    else:
        _print_invitation(opened)
    try:
        standing = _wait_for_device(client, quiet=session.as_json)
    except BaseException:
        with contextlib.suppress(FractalityError):
            client.call("DELETE", "/v1/pairing")
        raise
    if session.as_json:
        print_json(standing)
    elif standing["state"] == "joined":
        click.secho(f"\n{_named(standing['device'])} has joined.", fg="green")
    else:
        click.echo(f"\n{safe_line(standing['detail'])}")
    if standing["state"] != "joined":
        click.get_current_context().exit(Exit.FAILED)


@click.command(short_help="Make this home a device of a person who invites.")
@click.argument("code", required=False)
@click.option(
    "--at", "endpoint", metavar="HOST:PORT", help="Where the inviting device is."
)
@click.option("--name", help="Name of this device.  [default: the machine's]")
@key_options
@pass_session
def join(
    session: Session,
    *,
    code: str | None,
    endpoint: str | None,
    name: str | None,
    key_source: KeySource | None,
) -> None:
    """Join by the CODE that 'fractality pair' shows on another device.

    Asks for the code if none is given.

    Works in a new home, and with a daemon that runs on a home in which nothing was
    written yet. Nothing is kept unless all of it is there: keys, devices, person.
    """
    if code is None:
        code = click.prompt("Code", err=True)
    if endpoint is None and sys.stderr.isatty():
        hint("Looking for the device that invites …")
    try:
        client = session.client()
    except DaemonAbsentError:
        made = session.local.join(
            session.home,
            code,
            endpoint,
            name=name,
            key_source=key_source,
            ask_passphrase=ask_passphrase,
        )
        _tell_made(session, made)
        return
    wanted = {"code": code, "endpoint": endpoint, "name": name}
    patient = Client(client.home, client.port, client.token, _JOIN_SECONDS)
    joined = patient.call("POST", "/v1/pairing/join", wanted)
    _wait_until_served(session, joined["joined_as"]["id"])
    if session.as_json:
        print_json(joined)
        return
    _print_welcome(joined["person"]["name"], joined["device"]["name"])
    click.echo(
        "\nThe daemon serves it already. The 24 words that this home showed before open"
        "\nnothing any more: those of the person count."
    )


def _print_invitation(opened: Document) -> None:
    code = safe_line(opened["code"])
    click.echo("Type this code on the other device, within ten minutes:\n")
    click.secho(f"    {code}\n", bold=True)
    _print_picture(opened["link"])
    click.echo(f"There:  fractality join {code}")
    if opened["endpoint"]:
        address = safe_line(opened["endpoint"])
        click.echo(
            f"Should it not find this one: fractality join {code} --at {address}"
        )
    click.echo()


def _print_picture(link: str) -> None:
    """Draw the QR code where somebody is looking and it fits."""
    if not sys.stdout.isatty():
        return
    from daemon.qr_code import in_characters

    lines = in_characters(link).splitlines()
    if max(map(width, lines)) <= shutil.get_terminal_size().columns:
        for line in lines:
            click.secho(line, fg="bright_white", bg="black")
        click.echo()


def _wait_for_device(client: Client, *, quiet: bool) -> Document:
    """Return how the invitation ended; tell what happens meanwhile."""
    told, revision = "", -1
    while True:
        query = {"after": revision, "wait": _WAIT_SECONDS}
        standing: Document = client.get("/v1/pairing", query)
        if standing["state"] not in _OPEN:
            return standing
        revision = standing["revision"]
        if standing["detail"] != told and not quiet:
            told = standing["detail"]
            hint(safe_line(told))


def _wait_until_served(session: Session, device: str) -> None:
    """Wait until the daemon serves the new device."""
    deadline = time.monotonic() + _RESTART_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(FractalityError):
            answer = session.client().get("/v1/status")
            if answer["device"]["id"] == device:
                return
        time.sleep(0.1)
    hint("It has joined, but the daemon does not answer yet; see `fractality doctor`.")


def _tell_made(session: Session, made: JoinedDevice) -> None:
    if session.as_json:
        print_json(
            {
                "person": {"id": made.person, "name": made.person_name},
                "device": {"id": made.inviter, "name": made.inviter_name},
                "joined_as": {"id": made.device, "name": made.device_name},
                "key_source": made.key_source,
            }
        )
        return
    _print_welcome(made.person_name, made.inviter_name)
    click.echo()
    print_fields(
        (name, safe_line(value))
        for name, value in (
            ("device", f"{made.device_name} ({made.device})"),
            ("key source", made.key_source),
            ("home", str(session.home)),
        )
    )
    click.echo(f"\nStart it with: {start_command(session.home, default_home())}")


def _print_welcome(person: str, inviter: str) -> None:
    click.secho(
        f"Joined: this is a device of {safe_line(person)} now, let in by"
        f" {safe_line(inviter)}.",
        fg="green",
    )


def _named(device: Any) -> str:
    return f"{safe_line(device['name'])} ({safe_line(device['id'])})"
