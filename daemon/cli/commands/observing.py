"""Commands that watch the running daemon."""

import json
from typing import Any, Final

import click

from daemon.cli.commands.circles import CIRCLE_COLUMNS, circle_row
from daemon.cli.commands.devices import DEVICE_COLUMNS, device_row
from daemon.cli.output import hint, print_fields, print_json, print_table, to_json
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import value_text
from daemon.cli.text import duration, many, safe_line
from daemon.client import DaemonAbsentError, Document
from daemon.event_stream import Event, parse_events

_STATES: Final = {
    "synced": "the same on every device",
    "syncing": "being brought into step",
    "behind": "some devices lack changes",
    "alone": "on this device only",
    "stalled": "stalled",
}
_DIGEST_SHOWN: Final = 12
_TYPE_COLUMN: Final = 18


@click.command(short_help="What the daemon holds and does.")
@pass_session
def status(session: Session) -> None:
    """Show who this device is, how its store is protected and what it holds."""
    client = session.client()
    answer = client.get("/v1/status")
    if session.as_json:
        print_json(answer)
        return
    at_rest = answer["at_rest"]
    cipher, source = safe_line(at_rest["cipher"]), safe_line(at_rest["key_source"])
    fields = [
        ("person", _name(answer["person"])),
        ("device", _name(answer["device"])),
        (
            "daemon",
            f"{safe_line(answer['version'])}, {_up(answer)}, port {client.port}",
        ),
        ("home", safe_line(session.home)),
        ("at rest", f"encrypted ({cipher}), key source {source}"),
    ]
    embeddings = answer.get("embeddings")
    if embeddings:
        fields.append(("embeddings", _embeddings(embeddings)))
    print_fields(fields)
    for space in answer["spaces"]:
        _print_space(space)
    if answer.get("circles"):
        click.echo()
        print_table(CIRCLE_COLUMNS, [circle_row(each) for each in answer["circles"]])
        if any(each["cause"] for each in answer["circles"]):
            hint("'fractality why' says what to do.")


def _up(answer: Document) -> str:
    return f"up {duration(answer['uptime_seconds'])}"


def _name(value: Any) -> str:
    """Return a person or device: `Ada (ab12…)`, or the id where there is no name."""
    if not isinstance(value, dict):
        return safe_line(value)
    if not value.get("name"):
        return safe_line(value["id"])
    return f"{safe_line(value['name'])} ({safe_line(value['id'])})"


def _embeddings(embeddings: Document) -> str:
    words = [embeddings.get("state"), embeddings.get("model"), embeddings.get("cause")]
    return ", ".join(safe_line(word) for word in words if word)


def _print_space(space: Document) -> None:
    state = _STATES.get(space["state"], safe_line(space["state"]))
    if space["state"] == "synced" and not all(
        each["online"] for each in space["devices"]
    ):
        state = "the same on every device, as far as last heard"
    if space["state"] == "stalled":
        state = click.style(state, fg="red", bold=True)
    click.echo("\n" + click.style(safe_line(space.get("name") or "space"), bold=True))
    print_fields(
        [
            (
                "holds",
                f"{many(space['nodes'], 'node')}, {many(space['edges'], 'edge')}",
            ),
            ("digest", safe_line(space["digest"])[:_DIGEST_SHOWN]),
            ("state", state),
        ],
        indent=2,
    )
    if space["devices"]:
        click.echo()
        print_table(DEVICE_COLUMNS, [device_row(each) for each in space["devices"]])
        if any(each["cause"] for each in space["devices"]):
            hint("'fractality why' says what to do.")


@click.command(short_help="Watch what happens, as it happens.")
@click.option(
    "--since",
    type=click.IntRange(0),
    metavar="ID",
    help="Begin after this event instead of now.",
)
@pass_session
def events(session: Session, since: int | None) -> None:
    """Print each event on a line until Ctrl-C.

    Ends with status 3 when the daemon stops.
    """
    client = session.client()
    headers = {} if since is None else {"Last-Event-ID": str(since)}
    with client.stream("/v1/events", headers=headers) as answer:
        for event in parse_events(answer.lines()):
            click.echo(_event_json(event) if session.as_json else _event_line(event))
    raise DaemonAbsentError(session.home)


def _event_json(event: Event) -> str:
    data = json.loads(event.data)
    return to_json({"id": event.id, "type": event.type, "data": data})


def _event_line(event: Event) -> str:
    """Return an event on one line: number, type, then what it names."""
    data: Document = json.loads(event.data)
    named = [
        f"{safe_line(name)}={value_text(value)}"
        for name, value in data.items()
        if name != "type"
    ]
    kind = safe_line(event.type)
    padding = " " * (_TYPE_COLUMN - len(kind)) if named else ""
    cells = (f"{safe_line(event.id):>6}", click.style(kind, bold=True) + padding)
    return "  ".join((*cells, *named))


@click.command(short_help="Print the token that the API asks for.")
@pass_session
def token(session: Session) -> None:
    """Print the token for `Authorization: Bearer TOKEN`. It opens everything."""
    value = session.client().token
    if session.as_json:
        print_json({"token": value})
        return
    click.echo(value)
