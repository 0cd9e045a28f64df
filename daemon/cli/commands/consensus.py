"""Commands about what goes to a circle and what resonates in it.

Rule: resonance is shown as closeness of meaning, and as nothing else; what members say
of it is shown beside it, as affirm and dissent.
"""

from typing import Any, Final
from urllib.parse import quote

import click

from daemon.cli.circles import (
    CIRCLE_OPTION,
    SHORT_KEY,
    chosen_circle,
    circle_path,
    paragraph,
)
from daemon.cli.commands.completion import NODE_KEY
from daemon.cli.exits import Exit
from daemon.cli.output import Column, hint, print_fields, print_json, print_table
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import items, label_of
from daemon.cli.text import many, number, safe_line
from daemon.client import Document

CONSENSUS_COLUMNS: Final = (
    Column("key"),
    Column("resonance", right=True),
    Column("people", right=True),
    Column("affirm", right=True),
    Column("dissent", right=True),
    Column("status"),
    Column("label", wide=True),
)
_WHAT_IT_IS: Final = (
    "Resonance says how close in meaning these thoughts are, not what people think of"
    " them: that is for affirm and dissent."
)


@click.command(short_help="Publish a thought to a circle.")
@click.argument("key", type=NODE_KEY)
@CIRCLE_OPTION
@click.option("--bytes", "with_bytes", is_flag=True, help="Show them in hexadecimal.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def publish(
    session: Session, *, key: str, circle: str | None, with_bytes: bool, yes: bool
) -> None:
    """Publish the label of the node KEY to a circle, after showing what leaves."""
    client = session.client()
    chosen = chosen_circle(client, circle)
    named = quote(key, safe="")
    preview = client.get(circle_path(chosen, f"preview/{named}"))
    if not session.as_json or not yes:
        _print_preview(chosen, preview, with_bytes=with_bytes)
    if not yes and not click.confirm("Publish it?", err=True):
        click.echo("Nothing has left this device.", err=True)
        click.get_current_context().exit(Exit.FAILED)
    answer = client.call("PUT", circle_path(chosen, f"contributions/{named}"))
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"Published {safe_line(key)} to {safe_line(chosen['name'])}.")
    hint(f"To take it back: fractality withdraw {safe_line(key)}")


def _print_preview(circle: Document, preview: Document, *, with_bytes: bool) -> None:
    """Show what leaves: on the standard error, for the answer comes on the other."""
    click.echo(
        f"To {many(circle['counts']['members'], 'member')} of"
        f" {safe_line(circle['name'])} goes exactly this:\n",
        err=True,
    )
    lines = [
        ("text", safe_line(preview["text"])),
        ("under", safe_line(circle["alias"])),
        ("week of", safe_line(preview["week_of"])[:10]),
        ("with", "its embedding, 384 numbers"),
        ("size", f"{preview['size']} bytes and a signature"),
    ]
    if with_bytes:
        lines.append(("bytes", safe_line(preview["record"])))
    for name, value in lines:
        click.echo(f"  {name:<8} {value}", err=True)
    click.echo(f"\n{paragraph(preview['notice'])}\n", err=True)
    if preview["already"]:
        click.echo("This very text is out already.\n", err=True)


@click.command(short_help="Take back what was published.")
@click.argument("key", type=NODE_KEY)
@CIRCLE_OPTION
@pass_session
def withdraw(session: Session, *, key: str, circle: str | None) -> None:
    """Take back what was published of the node KEY."""
    client = session.client()
    chosen = chosen_circle(client, circle)
    path = circle_path(chosen, f"contributions/{quote(key, safe='')}")
    answer = client.call("DELETE", path)
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"Withdrew {safe_line(key)} from {safe_line(chosen['name'])}.")
    hint(paragraph(answer["notice"]))


@click.command(short_help="What resonates in a circle.")
@click.argument("key", required=False)
@CIRCLE_OPTION
@click.option("--history", "part", flag_value="history", help="KEY over time.")
@click.option("--tree", "part", flag_value="tree", help="Your own nodes around KEY.")
@click.option("--search", metavar="WORDS", help="Only nodes with these words.")
@pass_session
def consensus(
    session: Session,
    *,
    key: str | None,
    circle: str | None,
    part: str | None,
    search: str | None,
) -> None:
    """List what resonates in a circle, or show one consensus node by its KEY.

    The beginning of a KEY is enough.
    """
    if part is not None and key is None:
        message = f"--{part} is about one consensus node: give its KEY"
        raise click.UsageError(message)
    client = session.client()
    chosen = chosen_circle(client, circle)
    path = "consensus" if key is None else f"consensus/{quote(key, safe='')}"
    if part is not None:
        path = f"{path}/{part}"
    answer = client.get(circle_path(chosen, path), {"q": search} if not key else None)
    if session.as_json:
        print_json(answer)
    elif key is None:
        _print_list(answer)
    elif part == "history":
        _print_history(answer)
    elif part == "tree":
        _print_tree(answer)
    else:
        _print_one(answer)


def _print_list(answer: Any) -> None:
    if not items(answer):
        click.echo("Nothing resonates yet: it takes close thoughts of three people.")
        return
    print_table(CONSENSUS_COLUMNS, [_row(each) for each in items(answer)])
    hint(_WHAT_IT_IS)


def _row(node: Document) -> tuple[str, ...]:
    return (
        safe_line(node["key"])[:SHORT_KEY],
        f"{node['resonance_score']:.2f}",
        str(node["contributor_count"]),
        str(node["affirm"]),
        str(node["dissent"]),
        safe_line(node["status"]),
        label_of(node) + (" (yours too)" if node["mine"] else ""),
    )


def _print_one(node: Document) -> None:
    click.secho(label_of(node), bold=True)
    said = f"{node['affirm']} affirm, {node['dissent']} dissent"
    if node["vote"]:
        said += f" (you: {safe_line(node['vote'])})"
    people = many(node["contributor_count"], "contributor")
    fields = [
        ("key", safe_line(node["key"])),
        ("resonance", f"{node['resonance_score']:.2f}, {safe_line(node['status'])}"),
        ("holds", f"{many(node['member_count'], 'thought')} of {people}"),
        ("votes", said),
    ]
    if node["keywords"]:
        fields.append(("keywords", safe_line(", ".join(node["keywords"]))))
    if node["linked"]:
        fields.append(("your nodes", safe_line(", ".join(node["linked"]))))
    print_fields(fields, indent=2)
    click.echo()
    for member in node["members"]:
        who = safe_line(member["alias"]) + (" (you)" if member["mine"] else "")
        click.echo(f"  {safe_line(member['text'])}  {click.style(who, dim=True)}")
    hint(_WHAT_IT_IS)


def _print_history(answer: Document) -> None:
    if not answer["points"]:
        click.echo("Nothing was noted of it yet.")
        return
    columns = (
        Column("since"),
        Column("resonance", right=True),
        Column("people", right=True),
        Column("thoughts", right=True),
    )
    rows = [
        (
            safe_line(point["time"])[:16].replace("T", " "),
            f"{point['resonance_score']:.2f}",
            str(point["contributor_count"]),
            str(point["member_count"]),
        )
        for point in answer["points"]
    ]
    print_table(columns, rows)


def _print_tree(answer: Document) -> None:
    click.secho(label_of(answer), bold=True)
    if not answer["items"]:
        click.echo("None of your nodes is linked with it; 'fractality integrate' does.")
    for each in answer["items"]:
        indent = "  " * (each["depth"] + 1)
        node = each["node"]
        named = f"{indent}{safe_line(node['key'])}  {label_of(node)}"
        click.echo(f"{named}  {number(each['resonance'])}")


@click.command(short_help="Affirm a consensus node, or dissent.")
@click.argument("key")
@click.argument("choice", type=click.Choice(["affirm", "dissent", "withdraw"]))
@CIRCLE_OPTION
@pass_session
def vote(session: Session, *, key: str, choice: str, circle: str | None) -> None:
    """Say of the consensus node KEY whether you affirm it; members see it."""
    client = session.client()
    chosen = chosen_circle(client, circle)
    path = circle_path(chosen, f"consensus/{quote(key, safe='')}/vote")
    said = None if choice == "withdraw" else choice
    answer = client.call("POST", path, {"vote": said})
    if session.as_json:
        print_json(answer)
        return
    done = {
        "affirm": "You affirm",
        "dissent": "You dissent from",
        "withdraw": "You took back your vote on",
    }[choice]
    click.echo(f"{done}: {label_of(answer)}")
    click.echo(f"{answer['affirm']} affirm, {answer['dissent']} dissent.")


@click.command(short_help="Keep a consensus node in your graph.")
@click.argument("consensus_key", metavar="CONSENSUS_KEY")
@click.argument("node", type=NODE_KEY, required=False)
@CIRCLE_OPTION
@pass_session
def integrate(
    session: Session, *, consensus_key: str, node: str | None, circle: str | None
) -> None:
    """Keep a consensus node in your graph, linked with NODE; it follows its changes.

    Without NODE it is linked with those of your nodes that are part of it.
    """
    client = session.client()
    chosen = chosen_circle(client, circle)
    path = circle_path(chosen, f"consensus/{quote(consensus_key, safe='')}/integrate")
    answer = client.call("POST", path, {"node": node})
    if session.as_json:
        print_json(answer)
        return
    kept = safe_line(answer["node"]["key"])
    linked = safe_line(", ".join(answer["linked"])) or "no node yet"
    click.echo(f"Kept as {kept}, linked with {linked}.")
