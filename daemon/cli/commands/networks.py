"""Networks: nodes that belong together, and how fast their energy decays."""

from urllib.parse import quote

import click

from crdt.energy import MAX_HALF_LIFE
from daemon.cli.output import Column, print_json, print_table
from daemon.cli.session import Session, pass_session
from daemon.cli.shapes import items
from daemon.cli.text import number, safe_line


@click.command(short_help="List networks, or set one's half-life.")
@click.argument("name", required=False)
@click.option(
    "--half-life",
    type=click.IntRange(1, MAX_HALF_LIFE),
    metavar="HOURS",
    help="In how many hours its energy halves, from now on and on every device.",
)
@pass_session
def networks(session: Session, *, name: str | None, half_life: int | None) -> None:
    """List the networks that nodes belong to, with their energy.

    With NAME and --half-life set how fast the energy of that network decays.
    """
    if (name is None) != (half_life is None):
        raise click.UsageError("Name a network and say --half-life HOURS, or neither.")
    client = session.client()
    if name is None:
        answer = client.get("/v1/networks")
        rows = items(answer)
    else:
        route = f"/v1/networks/{quote(name, safe='')}"
        answer = client.call("PUT", route, {"half_life_hours": half_life})
        rows = [answer]
    if session.as_json:
        print_json(answer)
        return
    columns = (
        Column("network", wide=True),
        Column("nodes", right=True),
        Column("energy", right=True),
        Column("half-life", right=True),
    )
    print_table(
        columns,
        [
            (
                safe_line(each["name"]),
                str(each["nodes"]),
                number(each["energy"]["atp"]),
                f"{each['half_life_hours']} h",
            )
            for each in rows
        ],
    )
