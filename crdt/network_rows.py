"""Networks in the store: which there are, what they hold, who belongs to one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import apsw

from crdt.errors import NotFoundError
from crdt.graph_index import VISIBLE, GraphIndex
from crdt.records import DEFAULT_NETWORK
from crdt.stream_points import Sums


@dataclass(frozen=True, slots=True)
class Network:
    """A network as it is now."""

    name: str
    nodes: int
    atp: float
    """Of all its nodes together."""
    half_life: int
    """In hours."""


def read_networks(
    connection: apsw.Connection, index: GraphIndex, now_ms: int
) -> list[Network]:
    """Return the default network, then all others that have nodes or settings."""
    counts: dict[str, int] = dict.fromkeys((DEFAULT_NETWORK, *index.half_lives), 0)
    energies: dict[str, float] = dict.fromkeys(counts, 0.0)
    elsewhere = set[int]()
    for number, name in connection.execute(
        "SELECT id, network FROM node"
        f" WHERE state = 1 AND network != '{DEFAULT_NETWORK}'"
    ):
        elsewhere.add(number)
        counts[name] = counts.get(name, 0) + 1
        energies[name] = energies.get(name, 0.0) + index.atp(number, now_ms)
    here = [
        number
        for number, state in enumerate(bytes(index.states))
        if state == VISIBLE and number not in elsewhere
    ]
    counts[DEFAULT_NETWORK] = len(here)
    energies[DEFAULT_NETWORK] = _sum(index, here, now_ms)
    names = sorted(counts, key=lambda name: (name != DEFAULT_NETWORK, name))
    return [
        Network(name, counts[name], energies[name], index.half_life(name))
        for name in names
    ]


def check_network(connection: apsw.Connection, index: GraphIndex, network: str) -> None:
    """Raise `NotFoundError` if a network has neither nodes nor settings."""
    if network == DEFAULT_NETWORK or network in index.half_lives:
        return
    row = connection.execute(
        "SELECT 1 FROM node WHERE state = 1 AND network = ?"
        f" AND network != '{DEFAULT_NETWORK}'",
        (network,),
    ).fetchone()
    if row is None:
        message = f"There is no network '{network}'."
        raise NotFoundError(message)


def read_days(
    connection: apsw.Connection, network: str, since_ms: int, until_ms: int, limit: int
) -> list[Sums]:
    """Return the days in [since, until) on which something happened in a network.

    What happened to nodes that belong to it now, in sum.
    """
    rows = connection.execute(
        "SELECT start_ms, stream_day.type, sum(count), sum(atp), sum(attention)"
        " FROM stream_day JOIN node ON node.id = stream_day.node"
        " WHERE node.state = 1 AND network = ? AND start_ms >= ? AND start_ms < ?"
        " GROUP BY start_ms, stream_day.type ORDER BY start_ms, stream_day.type"
        " LIMIT ?",
        (network, since_ms, until_ms, limit),
    )
    return [Sums(*row) for row in rows]


def members(connection: apsw.Connection, network: str | None) -> Callable[[int], bool]:
    """Return what tells whether a node belongs to a network; to None all do."""
    known: dict[int, bool] = {}

    def belongs(number: int) -> bool:
        if network is None:
            return True
        if number not in known:
            row = connection.execute(
                "SELECT network FROM node WHERE id = ?", (number,)
            ).fetchone()
            known[number] = row is not None and row[0] == network
        return known[number]

    return belongs


def _sum(index: GraphIndex, numbers: Iterable[int], now_ms: int) -> float:
    return sum(index.atp(number, now_ms) for number in numbers)
