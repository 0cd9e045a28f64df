"""Commands about circles: found, invite, join, who is in them, leaving."""

import sys
from typing import Final

import click

from daemon.cli.circles import (
    SHORT_ID,
    Duration,
    chosen_circle,
    chosen_member,
    circle_path,
)
from daemon.cli.exits import Exit
from daemon.cli.output import Column, hint, print_fields, print_json, print_table
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import items
from daemon.cli.text import many, safe_line
from daemon.client import Client, Document

CIRCLE_COLUMNS: Final = (
    Column("name", wide=True),
    Column("id"),
    Column("me"),
    Column("members", right=True),
    Column("thoughts", right=True),
    Column("mine", right=True),
    Column("links", right=True),
    Column("state", wide=True),
)
_MEMBER_COLUMNS: Final = (
    Column("alias", wide=True),
    Column("id"),
    Column("role"),
    Column("let in by", wide=True),
    Column("thoughts", right=True),
    Column("state", wide=True),
)
_JOIN_SECONDS: Final = 120.0
_MAX_TICKET: Final = 8192


@click.group("circle", short_help="People who pool thoughts they choose.")
def circle() -> None:
    """Found, join and leave circles: people who pool thoughts they choose.

    Nothing of your graph goes to a circle but what you publish, node by node.
    """


@circle.command("found")
@click.argument("name")
@click.option(
    "--preset",
    type=click.Choice(["strict", "broad"]),
    default="strict",
    show_default=True,
    help="How close thoughts must be to resonate; it stays so.",
)
@click.option("--as", "alias", metavar="ALIAS", help="What members call you.")
@pass_session
def found(session: Session, *, name: str, preset: str, alias: str | None) -> None:
    """Found the circle NAME. Nobody is in it but you until you invite."""
    content = {"name": name, "preset": preset, "alias": alias}
    answer = session.client().call("POST", "/v1/circles", content)
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"Founded {safe_line(answer['name'])}. You are {_me(answer)} in it.")
    hint("To invite somebody: fractality circle invite")


@circle.command("invite")
@click.argument("which", metavar="[CIRCLE]", required=False)
@click.option(
    "--uses",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How many people may join with it.",
)
@click.option(
    "--valid",
    type=Duration(),
    default="7d",
    show_default=True,
    help="For how long: 30m, 12h, 7d.",
)
@pass_session
def invite(session: Session, *, which: str | None, uses: int, valid: int) -> None:
    """Make a ticket with which somebody can join CIRCLE (the only one if not given)."""
    client = session.client()
    chosen = chosen_circle(client, which)
    answer = client.call(
        "POST", circle_path(chosen, "invites"), {"uses": uses, "valid_seconds": valid}
    )
    if session.as_json:
        print_json(answer)
        return
    until = safe_line(answer["expires_at"])[:16].replace("T", " ")
    people = "one person" if uses == 1 else f"{uses} people"
    hint(
        f"A ticket into {safe_line(chosen['name'])} for {people}, until {until} UTC."
        " Whoever has it can join: give it away by a private channel."
    )
    click.echo(safe_line(answer["ticket"]))
    hint("There: fractality circle join -    (and paste it; so it is in no history)")


@circle.command("join")
@click.argument("ticket")
@click.option("--as", "alias", metavar="ALIAS", help="What members call you.")
@pass_session
def join(session: Session, *, ticket: str, alias: str | None) -> None:
    """Join the circle that TICKET is for; - reads the ticket from the standard input.

    The device that gave the ticket has to be running.
    """
    if ticket == "-":
        ticket = sys.stdin.readline(_MAX_TICKET)
    known = session.client()
    client = Client(known.home, known.port, known.token, _JOIN_SECONDS)
    answer = client.call(
        "POST", "/v1/circles/join", {"ticket": ticket.strip(), "alias": alias}
    )
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"Joined {safe_line(answer['name'])}. You are {_me(answer)} in it.")


@circle.command("list")
@pass_session
def list_circles(session: Session) -> None:
    """List the circles that you are or were in."""
    answer = session.client().get("/v1/circles")
    if session.as_json:
        print_json(answer)
        return
    if not items(answer):
        click.echo("You are in no circle. 'fractality circle found NAME' begins one.")
        return
    print_table(CIRCLE_COLUMNS, [circle_row(each) for each in items(answer)])


def circle_row(document: Document) -> tuple[str, ...]:
    """Return the cells of `CIRCLE_COLUMNS`."""
    counts = document["counts"]
    return (
        safe_line(document["name"]),
        safe_line(document["id"])[:SHORT_ID],
        safe_line(document["alias"]),
        str(counts["members"]),
        str(counts["contributions"]),
        str(counts["mine"]),
        str(document["links"]),
        circle_state(document),
    )


def circle_state(document: Document) -> str:
    """Return in a few words how a circle stands."""
    if document["state"] != "active":
        return "you have left" if document["state"] == "left" else "you were removed"
    if document["cause"]:
        return safe_line(document["cause"])
    if not document["links"]:
        return "not linked" if document["counts"]["members"] > 1 else "nobody else yet"
    return "in step" if document["in_step"] else "being brought into step"


@circle.command("show")
@click.argument("which", metavar="[CIRCLE]", required=False)
@pass_session
def show(session: Session, which: str | None) -> None:
    """Show CIRCLE, its members and how it stands."""
    client = session.client()
    answer = client.get(circle_path(chosen_circle(client, which)))
    if session.as_json:
        print_json(answer)
        return
    click.secho(safe_line(answer["name"]), bold=True)
    print_circle(answer)
    aliases = {each["id"]: each["alias"] for each in answer["members"]}
    click.echo()
    print_table(
        _MEMBER_COLUMNS, [_member_row(each, aliases) for each in answer["members"]]
    )


def print_circle(document: Document) -> None:
    """Print the fields of a circle."""
    counts = document["counts"]
    result = document["result_hash"]
    fields = [
        ("id", safe_line(document["id"])),
        ("you are", safe_line(document["alias"])),
        ("preset", f"{safe_line(document['preset'])}, {_mode(document)}"),
        ("holds", _holdings(counts)),
        ("set", safe_line(document["fingerprint"])[:SHORT_ID]),
        ("result", safe_line(result)[:SHORT_ID] if result else "not worked out yet"),
        ("links", str(document["links"])),
        ("state", circle_state(document)),
    ]
    if document["fix"]:
        fields.append(("to do", safe_line(document["fix"])))
    print_fields(fields, indent=2)


def _holdings(counts: Document) -> str:
    thoughts = many(counts["contributions"], "thought")
    return f"{thoughts} of {many(counts['members'], 'member')}, {counts['mine']} yours"


def _mode(document: Document) -> str:
    return "no relay reads it" if document["mode"] == "blind" else "a relay reads it"


def _member_row(member: Document, aliases: dict[str, str]) -> tuple[str, ...]:
    inviter = member["inviter"]
    let_in = safe_line(aliases.get(inviter, inviter)) if inviter else "-"
    state = safe_line(member["state"])
    if member["state"] == "member":
        state = "online" if member["online"] or member["is_me"] else "not linked"
    return (
        safe_line(member["alias"]) + (" (you)" if member["is_me"] else ""),
        safe_line(member["id"])[:SHORT_ID],
        safe_line(member["role"]),
        f"{let_in}, vouched for" if member["vouched"] else let_in,
        str(member["contributions"]),
        state,
    )


@circle.command("leave")
@click.argument("which", metavar="[CIRCLE]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def leave(session: Session, *, which: str | None, yes: bool) -> None:
    """Leave CIRCLE for good. Under this pseudonym there is no way back.

    What you published takes no part any more; members keep what they have read.
    """
    client = session.client()
    chosen = chosen_circle(client, which)
    name = safe_line(chosen["name"])
    if not yes and not click.confirm(f"Leave {name} for good?", err=True):
        click.echo(f"Nothing was changed: you are still in {name}.", err=True)
        click.get_current_context().exit(Exit.FAILED)
    answer = client.call("DELETE", circle_path(chosen))
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"You have left {name}. Members keep what they have already read.")


@circle.command("remove")
@click.argument("member")
@click.option("--circle", "which", metavar="CIRCLE", help="Which circle.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, *, member: str, which: str | None, yes: bool) -> None:
    """Remove MEMBER (an alias or id) from a circle, for good."""
    client = session.client()
    chosen = chosen_circle(client, which)
    person = chosen_member(chosen, member)
    name = safe_line(person["alias"])
    if not yes and not click.confirm(f"Remove {name} for good?", err=True):
        click.echo(f"Nothing was changed: {name} stays.", err=True)
        click.get_current_context().exit(Exit.FAILED)
    path = circle_path(chosen, f"members/{person['id']}")
    answer = client.call("DELETE", path)
    if session.as_json:
        print_json(answer)
        return
    click.echo(
        f"Removed {name}. What comes is sealed under a new key; what {name} has already"
        " read stays read."
    )


@circle.command("vouch")
@click.argument("member")
@click.option("--circle", "which", metavar="CIRCLE", help="Which circle.")
@pass_session
def vouch(session: Session, *, member: str, which: str | None) -> None:
    """Vouch for MEMBER, who then counts like somebody whom you invited yourself.

    Of all whom one person brought in, two count at most; somebody vouched for begins
    anew.
    """
    client = session.client()
    chosen = chosen_circle(client, which)
    person = chosen_member(chosen, member)
    path = circle_path(chosen, f"members/{person['id']}/vouch")
    answer = client.call("POST", path)
    if session.as_json:
        print_json(answer)
        return
    click.echo(f"You vouch for {safe_line(person['alias'])}.")


def _me(document: Document) -> str:
    return safe_line(document["alias"])
