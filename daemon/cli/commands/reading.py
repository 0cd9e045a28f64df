"""Commands that read the graph."""

import html
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import click

from daemon.cli.commands.completion import NODE_KEY
from daemon.cli.output import (
    Column,
    hint,
    print_fields,
    print_json,
    print_table,
    to_json,
)
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import (
    NODE_COLUMNS,
    items,
    label_of,
    node_of,
    node_row,
    value_text,
)
from daemon.cli.text import ago, cut, many, number, safe_block, safe_line
from daemon.client import Client, Document, node_path

_PAGE: Final = 1000
_EDGES_SHOWN: Final = 20
_BODY_LINES: Final = 12
_MARKS: Final = ("<mark>", "</mark>")

Direction: TypeAlias = Literal["out", "in", "both"]


@click.command(short_help="Show one node.")
@click.argument("key", type=NODE_KEY)
@pass_session
def show(session: Session, key: str) -> None:
    """Show the node KEY with its metadata, its neighbours and how its body begins."""
    client = session.client()
    node = client.get(node_path(key))
    if session.as_json:
        print_json(node)
        return
    now = datetime.now(UTC)
    click.secho(safe_block(node["label"]), bold=True)
    fields = [
        ("key", safe_line(node["key"])),
        ("type", f"{safe_line(node['type'])} in {safe_line(node['network'])}"),
        ("energy", f"{number(node['energy']['atp'])} ATP"),
        ("created", ago(node["created_at"], now)),
        ("changed", f"{ago(node['updated_at'], now)}, version {node['version']}"),
    ]
    print_fields(fields)
    if node["metadata"]:
        click.echo("\nMetadata")
        values = node["metadata"].items()
        print_fields(((safe_line(n), value_text(v)) for n, v in values), indent=2)
    _print_edges(client, key)
    if node["body"]:
        _print_body(client.send("GET", node_path(key, "body")).decode())


def _print_edges(client: Client, key: str) -> None:
    """Print what leads out of a node and into it, with the labels of the ends."""
    near = client.get(
        node_path(key, "neighbours"), {"direction": "both", "limit": _PAGE}
    )
    labels = {node["key"]: label_of(node) for node in map(node_of, items(near))}
    lines, more = [], False
    for arrow, this, other in (("→", "from", "to"), ("←", "to", "from")):
        found = client.get("/v1/edges", {this: key, "limit": _EDGES_SHOWN})
        more = more or bool(isinstance(found, dict) and found.get("next"))
        lines += [
            (
                f"{arrow} {safe_line(edge['type'])}",
                safe_line(edge[other]),
                labels.get(edge[other], ""),
            )
            for edge in items(found)
        ]
    if lines:
        click.echo("\nNeighbours")
        columns = (Column("edge"), Column("key"), Column("label", wide=True))
        print_table(columns, [("  " + a, b, c) for a, b, c in lines], header=False)
    if more:
        click.echo(f"  … and more: fractality neighbours {safe_line(key)}")


def _print_body(text: str) -> None:
    lines = safe_block(text.rstrip()).split("\n")
    click.echo("\nBody")
    for line in lines[:_BODY_LINES]:
        click.echo(f"  {cut(line, shutil.get_terminal_size().columns - 2)}".rstrip())
    if len(lines) > _BODY_LINES:
        click.echo(f"  … {many(len(lines) - _BODY_LINES, 'more line')}")


@click.command("list", short_help="List nodes.")
@click.option("--type", "node_type", help="Only nodes of this type.")
@click.option("--network", help="Only nodes of this network.")
@click.option("--prefix", help="Only keys that begin so.")
@click.option("--trash", is_flag=True, help="What was removed in the last 30 days.")
@click.option("--limit", type=click.IntRange(1, _PAGE), default=50, show_default=True)
@click.option("--all", "everything", is_flag=True, help="All of them, however many.")
@pass_session
def list_nodes(
    session: Session,
    *,
    node_type: str | None,
    network: str | None,
    prefix: str | None,
    trash: bool,
    limit: int,
    everything: bool,
) -> None:
    """List nodes in the order of their keys."""
    query = {
        "type": node_type,
        "network": network,
        "prefix": prefix,
        "trash": trash or None,
        "limit": _PAGE if everything else limit,
    }
    pages = _pages(session.client(), query)
    if session.as_json:
        _print_pages(pages) if everything else print_json(next(pages))
        return
    for count, page in enumerate(pages):
        if page["items"]:
            rows = [node_row(node) for node in page["items"]]
            print_table(NODE_COLUMNS, rows, header=count == 0)
        elif count == 0:
            hint("The trash is empty." if trash else "There are no such nodes.")
        if page["next"] and not everything:
            hint("There are more: --all lists every one.")
            return


def _pages(client: Client, query: dict[str, Any]) -> Iterator[Document]:
    """Yield a list page by page, fetching each when it is wanted."""
    cursor: str | None = None
    while True:
        page: Document = client.get("/v1/nodes", {**query, "cursor": cursor})
        yield page
        cursor = page["next"]
        if cursor is None:
            return


def _print_pages(pages: Iterator[Document]) -> None:
    """Print all pages as one, without ever holding more than one of them."""
    separator = '{"items":['
    for page in pages:
        for item in page["items"]:
            click.echo(separator + to_json(item), nl=False)
            separator = ","
    click.echo(("" if separator == "," else separator) + '],"next":null}')


@click.command(short_help="Find nodes by words and meaning.")
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, _PAGE), default=20, show_default=True)
@click.option("--type", "node_type", help="Only nodes of this type.")
@click.option("--network", help="Only nodes of this network.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "text", "vector"]),
    help="By words and meaning, by words, or by meaning.  [default: hybrid]",
)
@pass_session
def search(
    session: Session,
    *,
    query: tuple[str, ...],
    limit: int,
    node_type: str | None,
    network: str | None,
    mode: str | None,
) -> None:
    """Find the nodes that match QUERY best."""
    asked: dict[str, str | int | None] = {
        "q": " ".join(query),
        "limit": limit,
        "type": node_type,
        "network": network,
        "mode": mode,
    }
    answer = session.client().get("/v1/search", asked)
    if session.as_json:
        print_json(answer)
        return
    hits = items(answer)
    for hit in hits:
        _print_hit(node_of(hit), hit.get("highlight") or "")
    if not hits:
        hint("Nothing found.")


def _print_hit(node: Document, highlight: str) -> None:
    """Print a node, the match shown in its label or else below it."""
    opening, closing = _MARKS
    bare = highlight.replace(opening, "").replace(closing, "")
    in_label = _plain(bare) == safe_line(node["label"])
    label = _marked(highlight) if in_label else label_of(node)
    click.echo(f"{click.style(safe_line(node['key']), bold=True)}  {label}")
    if highlight and not in_label:
        click.echo(f"    {_marked(highlight)}")


def _marked(highlight: str) -> str:
    """Return a highlight (HTML) with its marks as terminal style."""
    opening, closing = _MARKS
    before, *marked = highlight.split(opening)
    text = _plain(before)
    for part in marked:
        match, _, rest = part.partition(closing)
        text += click.style(_plain(match), fg="yellow", bold=True) + _plain(rest)
    return text


def _plain(escaped: str) -> str:
    """Return escaped HTML as text; made safe after that, not before."""
    return safe_line(html.unescape(escaped))


@click.command(short_help="Find nodes that mean the same.")
@click.argument("key", type=NODE_KEY)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="How near they have to be.",
)
@click.option("--limit", type=click.IntRange(1, _PAGE), default=20, show_default=True)
@pass_session
def resonant(session: Session, *, key: str, threshold: float, limit: int) -> None:
    """List the nodes that resonate with KEY, the nearest in meaning first."""
    answer = session.client().get(
        node_path(key, "resonant"), {"threshold": threshold, "limit": limit}
    )
    if session.as_json:
        print_json(answer)
        return
    found = items(answer)
    if not found:
        hint(f"Nothing resonates with {safe_line(key)} that much.")
        return
    columns = (Column("resonance", right=True), *NODE_COLUMNS)
    rows = [(f"{each['resonance']:.2f}", *node_row(node_of(each))) for each in found]
    print_table(columns, rows)


@click.command(short_help="Walk from a node.")
@click.argument("key", type=NODE_KEY)
@click.option("--depth", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--direction",
    type=click.Choice(["out", "in", "both"]),
    default="both",
    show_default=True,
)
@click.option("--type", "edge_type", help="Only along edges of this type.")
@click.option("--network", help="Only nodes of this network.")
@click.option(
    "--order",
    type=click.Choice(["distance", "energy"]),
    default="distance",
    show_default=True,
    help="The nearest first, or the most energetic.",
)
@click.option("--limit", type=click.IntRange(1, _PAGE), default=50, show_default=True)
@pass_session
def neighbours(
    session: Session,
    *,
    key: str,
    depth: int,
    direction: Direction,
    edge_type: str | None,
    network: str | None,
    order: str,
    limit: int,
) -> None:
    """List the nodes within reach of KEY, the nearest or most energetic first."""
    query = {
        "depth": depth,
        "direction": direction,
        "type": edge_type,
        "network": network,
        "order": order,
        "limit": limit,
    }
    answer = session.client().get(node_path(key, "neighbours"), query)
    if session.as_json:
        print_json(answer)
        return
    found = items(answer)
    if not found:
        hint(f"Nothing is linked to {safe_line(key)} that way.")
        return
    columns = (Column("steps", right=True), *NODE_COLUMNS)
    print_table(columns, [(str(e["distance"]), *node_row(node_of(e))) for e in found])


@click.command(short_help="Find the way between two nodes.")
@click.argument("start", metavar="A", type=NODE_KEY)
@click.argument("goal", metavar="B", type=NODE_KEY)
@click.option("--max-cost", type=click.FloatRange(min=0), help="Give up beyond this.")
@click.option("--network", help="Only nodes of this network.")
@pass_session
def path(
    session: Session,
    *,
    start: str,
    goal: str,
    max_cost: float | None,
    network: str | None,
) -> None:
    """Find the cheapest way from A to B; lively nodes cost less."""
    query = {"from": start, "to": goal, "max_cost": max_cost, "network": network}
    answer = session.client().get("/v1/path", query)
    if session.as_json:
        print_json(answer)
        return
    for step, node in enumerate(answer["nodes"]):
        click.echo(f"{step:>3}  {safe_line(node['key'])}  {label_of(node)}".rstrip())
    steps = many(len(answer["nodes"]) - 1, "step")
    click.echo(f"{steps}, cost {number(answer['cost'])}")
