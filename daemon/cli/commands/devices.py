"""Commands about the person's other devices: who they are, and how they stand."""

from datetime import UTC, datetime
from typing import Any, Final

import click

from crdt.errors import ConflictError, NotFoundError
from daemon.cli.exits import Exit
from daemon.cli.output import Column, print_fields, print_json, print_table
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import items
from daemon.cli.text import ago, many, safe_line, size
from daemon.client import Document

DEVICE_COLUMNS: Final = (
    Column("name", wide=True),
    Column("id"),
    Column("role"),
    Column("link"),
    Column("to send", right=True),
    Column("to get", right=True),
    Column("acknowledged"),
    Column("state", wide=True),
)
_PEER_COLUMNS: Final = (
    Column("name", wide=True),
    Column("link"),
    Column("rtt", right=True),
    Column("sent", right=True),
    Column("received", right=True),
    Column("addresses", wide=True),
)
_SHORT_ID: Final = 8


@click.command(short_help="The devices of this person.")
@pass_session
def devices(session: Session) -> None:
    """List every device of the person, revoked ones too, and how each stands."""
    answer = session.client().get("/v1/devices")
    if session.as_json:
        print_json(answer)
        return
    print_table(DEVICE_COLUMNS, [device_row(each) for each in items(answer)])


def device_row(device: Document) -> tuple[str, ...]:
    """Return the cells of `DEVICE_COLUMNS`."""
    name = safe_line(device["name"])
    is_here = bool(device.get("is_this"))
    # Nothing is owed to a device that was removed.
    is_settled = is_here or bool(device.get("is_removed"))
    return (
        f"{name} (this one)" if is_here else name,
        safe_line(device["id"])[:_SHORT_ID],
        safe_line(device["role"]),
        safe_line(device["link"] or "-"),
        "" if is_settled else str(device["pending_out"]),
        "" if is_settled else str(device["pending_in"]),
        _moment(device["last_ack"]),
        "" if is_here else _state(device),
    )


def _moment(moment: str | None) -> str:
    return ago(moment, datetime.now(UTC)) if moment else "-"


def _state(device: Document) -> str:
    if device["cause"]:
        return safe_line(device["cause"])
    if device["safe"] and device["digest_equal"] and not device["pending_in"]:
        return "in step"
    return "being brought into step" if device["online"] else "not linked"


@click.command(short_help="Why a device or circle is not in step, and what to do.")
@click.argument("device", required=False)
@pass_session
def why(session: Session, device: str | None) -> None:
    """Say for each device and circle how it stands and why.

    DEVICE, a name or an id, asks about that one only.
    """
    client = session.client()
    listed = items(client.get("/v1/devices"))
    if device is None:
        found = [each for each in listed if not (each["is_this"] or each["is_removed"])]
    else:
        found = [each for each in listed if _is_named(each, device)]
    if device is not None and not found:
        message = f"There is no device {device!r}; 'fractality devices' lists them."
        raise NotFoundError(message)
    if session.as_json:
        print_json(found)
        return
    if not found:
        click.echo("This is the only device of the space: nothing to be in step with.")
        click.echo("'fractality pair' brings in another.")
    for each in found:
        _print_why(each)
    if device is None:
        for circle in client.get("/v1/status")["circles"]:
            _print_why_circle(circle)


def _print_why(device: Document) -> None:
    click.echo(click.style(safe_line(device["name"]), bold=True))
    if device["is_this"]:
        click.echo("  This is the device that you ask.")
        return
    fields = [
        ("link", safe_line(device["link"] or "none")),
        ("safe there", "everything" if device["safe"] else _unsafe(device)),
        ("acknowledged", _moment(device["last_ack"])),
        ("shows the same", "yes" if device["digest_equal"] else "not yet"),
    ]
    if device["pending_in"]:
        fields.append(("to get", many(device["pending_in"], "change")))
    if device["cause"]:
        fields.append(("cause", safe_line(device["cause"])))
    if device["fix"]:
        fields.append(("to do", safe_line(device["fix"])))
    print_fields(fields, indent=2)


def _print_why_circle(circle: Document) -> None:
    click.echo(f"circle {click.style(safe_line(circle['name']), bold=True)}")
    members = many(circle["counts"]["members"], "member")
    fields = [
        ("links", f"{circle['links']}, among {members}"),
        ("holds the same", "yes" if circle["in_step"] else "not yet"),
    ]
    if circle["cause"]:
        fields.append(("cause", safe_line(circle["cause"])))
    if circle["fix"]:
        fields.append(("to do", safe_line(circle["fix"])))
    print_fields(fields, indent=2)


def _unsafe(device: Document) -> str:
    if not device["pending_out"]:
        return "not yet known"
    return f"all but {many(device['pending_out'], 'envelope')}"


def _is_named(device: Document, text: str) -> bool:
    """Whether `text` is a device's name, its id or the beginning of its id."""
    is_prefix = len(text) >= 4 and device["id"].startswith(text.lower())
    return bool(device["name"] == text or is_prefix)


@click.command(short_help="Remove a device for good.")
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def revoke(session: Session, *, device: str, yes: bool) -> None:
    """Remove DEVICE (a name or an id) from the person's devices, for good.

    It gets no more changes and no new keys. What it already holds stays on it.
    """
    client = session.client()
    chosen = _chosen(items(client.get("/v1/devices")), device)
    name = safe_line(chosen["name"])
    if not yes:
        question = f"Remove {name} ({chosen['id'][:_SHORT_ID]}) for good?"
        if not click.confirm(question, err=True):
            click.echo(f"Nothing was changed: {name} stays.", err=True)
            click.get_current_context().exit(Exit.FAILED)
    answer = client.call("DELETE", f"/v1/devices/{chosen['id']}")
    if session.as_json:
        print_json(answer)
        return
    click.echo(
        f"Removed {name}. The other devices hear of it as soon as they are linked, and"
        " new changes are sealed under a new key."
    )


def _chosen(known: list[Any], text: str) -> Document:
    found = [each for each in known if _is_named(each, text)]
    if not found:
        message = f"There is no device {text!r}; 'fractality devices' lists them."
        raise NotFoundError(message)
    if len(found) > 1:
        message = f"{many(len(found), 'device')} go by {text!r}: give the id instead."
        raise ConflictError(message)
    chosen: Document = found[0]
    return chosen


@click.command(short_help="Links to other devices, and addresses to try.")
@click.option("--add", metavar="HOST:PORT", help="Try this address from now on.")
@pass_session
def peers(session: Session, *, add: str | None) -> None:
    """List the links to other devices, or give an address to try."""
    client = session.client()
    if add is not None:
        answer = client.call("POST", "/v1/peers", {"address": add})
        if session.as_json:
            print_json(answer)
        else:
            click.echo(f"Trying {safe_line(answer['address'])}.")
        return
    answer = client.get("/v1/peers")
    if session.as_json:
        print_json(answer)
        return
    if not items(answer):
        click.echo("There is no other device; 'fractality pair' brings one in.")
        return
    print_table(_PEER_COLUMNS, [_peer_row(each) for each in items(answer)])


def _peer_row(peer: Document) -> tuple[str, ...]:
    rtt = peer["rtt_ms"]
    return (
        safe_line(peer["name"]),
        safe_line(peer["link"] or "-"),
        "-" if rtt is None else f"{rtt:.1f} ms",
        size(peer["bytes_out"]),
        size(peer["bytes_in"]),
        safe_line(", ".join(peer["addresses"]) or "none known"),
    )


@click.command(short_help="Bring devices into step now; pause or resume.")
@click.option("--pause", "wish", flag_value="pause", help="Exchange nothing for now.")
@click.option("--resume", "wish", flag_value="resume", help="Go on after a pause.")
@pass_session
def sync(session: Session, *, wish: str | None) -> None:
    """Try every device at once and say what will be done."""
    document = {} if wish is None else {"paused": wish == "pause"}
    answer = session.client().call("POST", "/v1/sync", document)
    if session.as_json:
        print_json(answer)
        return
    if answer["paused"]:
        click.echo("Paused: nothing is exchanged until 'fractality sync --resume'.")
        return
    if not answer["devices"]:
        click.echo("There is no other device; 'fractality pair' brings one in.")
    for each in answer["devices"]:
        click.echo(f"{safe_line(each['name'])}: {safe_line(each['plan'])}")
