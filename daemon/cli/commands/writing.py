"""Commands that change the graph."""

import json
import secrets
from collections.abc import Iterable
from typing import IO, Any, Final, NoReturn

import click

from crdt.ids import MAX_BODY_BYTES
from daemon.cli.commands.completion import NODE_KEY
from daemon.cli.output import hint, print_json
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import items, label_of, node_of
from daemon.cli.text import number, safe_line
from daemon.client import Client, Document, ProblemError, node_path
from daemon.new_keys import END_BYTES, new_key

_ALIKE: Final = 0.9
"""Resonance from which two texts say nearly the same."""
_AT_HAND: Final = ("ready", "embedding")
_QUERY_CHARACTERS: Final = 1000


@click.command(short_help="Add a thought.")
@click.argument("text")
@click.option("--key", help="Its key.  [default: made from the text]")
@click.option("--parent", type=NODE_KEY, help="Make it a child of this node.")
@click.option("--type", "node_type", help="What kind of node.  [default: thought]")
@click.option("--network", help="Where it belongs.  [default: default]")
@pass_session
def add(
    session: Session,
    *,
    text: str,
    key: str | None,
    parent: str | None,
    node_type: str | None,
    network: str | None,
) -> None:
    """Add TEXT as a new node. An existing node is never replaced: see `edit`."""
    client = session.client()
    key = key or new_key(text, secrets.token_bytes(END_BYTES))
    _refuse_taken(client, key)
    named = {"type": node_type, "network": network}
    content = {"label": text} | {name: value for name, value in named.items() if value}
    if parent is None:
        node = client.call("PUT", node_path(key), content)
    else:
        node = _add_under(client, parent, key, content)
    if session.as_json:
        print_json(node)
        return
    place = f" under {safe_line(parent)}" if parent else ""
    click.echo(f"Added {safe_line(key)}{place}.")
    _tell_alike(client, key, text)


def _tell_alike(client: Client, key: str, text: str) -> None:
    """Tell of a node that says nearly the same, if that is known without waiting."""
    embeddings = client.get("/v1/status").get("embeddings", {})
    if embeddings.get("state") not in _AT_HAND:
        return
    try:
        query: dict[str, str | int] = {
            "q": text[:_QUERY_CHARACTERS],
            "mode": "vector",
            "limit": 2,
        }
        hits = items(client.get("/v1/search", query))
    except ProblemError:
        return
    for hit in hits:
        node = node_of(hit)
        if node["key"] != key and hit["resonance"] >= _ALIKE:
            hint(f"Nearly the same: {safe_line(node['key'])}  {label_of(node)}")


def _refuse_taken(client: Client, key: str) -> None:
    """Raise a conflict if there is a node `key`: a PUT would replace what it holds."""
    try:
        client.get(node_path(key))
    except ProblemError as error:
        if error.status == 404:
            return
        raise
    detail = f"There is a node {key} already. Change it with: fractality edit"
    raise ProblemError({"title": "Conflict", "status": 409, "detail": detail})


def _add_under(client: Client, parent: str, key: str, content: Document) -> Any:
    """Add a node and the edge from its parent in one batch; return the node."""
    client.get(node_path(parent))  # absent: a clear 404 before anything is made
    failures = client.batch(
        [
            {"op": "put_node", "key": key, **content},
            {"op": "put_edge", "from": parent, "to": key, "type": "child"},
        ]
    )
    if failures:
        if len(failures) == 1:  # without its node the edge would have failed too
            hint(f"{safe_line(key)} was added, but not under its parent:")
        raise ProblemError(failures[0]["problem"])
    return client.get(node_path(key))


def _assignment(
    ctx: click.Context, param: click.Parameter, given: Iterable[str]
) -> Document:
    """Return `name=value` options as metadata; values that are JSON are read so."""
    metadata: Document = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise click.BadParameter("must look like name=value", ctx, param)
        try:
            metadata[name] = json.loads(value, parse_constant=_not_json)
        except ValueError:
            metadata[name] = value
    return metadata


def _not_json(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads though JSON has none."""
    raise ValueError(constant)


@click.command(short_help="Change a node.")
@click.argument("key", type=NODE_KEY)
@click.option("--label", help="Its text.")
@click.option("--type", "node_type", help="What kind of node.")
@click.option("--network", help="The network that it belongs to.")
@click.option(
    "--set",
    "metadata",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_assignment,
    help="Set one metadata value, JSON or text. May be repeated.",
)
@click.option(
    "--unset", "removed", metavar="NAME", multiple=True, help="Remove it. Repeatable."
)
@click.option(
    "--body-file",
    type=click.File("rb"),
    help="Replace the long text by this file's; - reads the standard input.",
)
@pass_session
def edit(
    session: Session,
    /,
    *,
    key: str,
    metadata: Document,
    removed: tuple[str, ...],
    body_file: IO[bytes] | None,
    **named: str | None,
) -> None:
    """Change what is given of the node KEY and leave the rest as it is."""
    named["type"] = named.pop("node_type")
    changes: Document = {
        name: value for name, value in named.items() if value is not None
    }
    if metadata or removed:
        changes["metadata"] = metadata | dict.fromkeys(removed)
    if not changes and body_file is None:
        raise click.UsageError("Say what to change, for example: --label TEXT")
    client = session.client()
    if changes:
        client.call("PATCH", node_path(key), changes)
    if body_file is not None:
        text = body_file.read(MAX_BODY_BYTES + 1)  # one more, for the daemon to refuse
        client.send(
            "PUT",
            node_path(key, "body"),
            text,
            content_type="text/plain; charset=utf-8",
        )
    node = client.get(node_path(key))
    if session.as_json:
        print_json(node)
        return
    click.echo(f"Changed {safe_line(key)}: {label_of(node)}")


@click.command("rm", short_help="Move a node to the trash.")
@click.argument("key", type=NODE_KEY)
@pass_session
def remove(session: Session, key: str) -> None:
    """Move the node KEY to the trash, where it stays for 30 days."""
    answer = session.client().call("DELETE", node_path(key))
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"Moved {safe_line(key)} to the trash for 30 days.")
    hint(f"To bring it back: fractality restore-node {safe_line(key)}")


@click.command("restore-node", short_help="Bring a node back from the trash.")
@click.argument("key")
@pass_session
def restore_node(session: Session, key: str) -> None:
    """Bring the node KEY back from the trash with all it held."""
    node = session.client().call("POST", node_path(key, "restore"))
    if session.as_json:
        print_json(node)
        return
    click.echo(f"{safe_line(key)} is back.")


@click.command(short_help="Relate one node to another.")
@click.argument("source", metavar="A", type=NODE_KEY)
@click.argument("target", metavar="B", type=NODE_KEY)
@click.option("--type", "edge_type", help="What kind of relation.  [default: child]")
@click.option("--weight", type=float, help="How strong it is.  [default: 1]")
@pass_session
def link(
    session: Session,
    *,
    source: str,
    target: str,
    edge_type: str | None,
    weight: float | None,
) -> None:
    """Make an edge from node A to node B; the same edge again replaces its weight."""
    given = {"from": source, "to": target, "type": edge_type, "weight": weight}
    content = {name: value for name, value in given.items() if value is not None}
    edge = session.client().call("PUT", "/v1/edges", content)
    if session.as_json:
        print_json(edge)
        return
    ends = f"{safe_line(source)} → {safe_line(target)}"
    click.echo(f"Linked {ends} ({safe_line(edge['type'])}).")


@click.command(short_help="Give a node energy.")
@click.argument("key", type=NODE_KEY)
@click.argument("energy", type=click.FloatRange(min=0), default=1.0)
@pass_session
def pulse(session: Session, key: str, energy: float) -> None:
    """Add ENERGY (1 if not given) to the node KEY."""
    answer = session.client().call("POST", node_path(key, "pulse"), {"energy": energy})
    if session.as_json:
        print_json(answer)
        return
    atp = answer.get("energy", answer)["atp"]
    click.echo(f"{safe_line(key)} now has {number(atp)} ATP.")
