"""No kill, at whatever moment, loses what was acknowledged or leaves a mess behind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from crdt.database import Database
from crdt.digest import format_digest
from crdt.key_sources import find_store_key
from crdt.rebuild import rebuild
from daemon.setup import load_secrets
from tests.support.crashing import Torment, recount
from tests.support.daemons import make_home

KILLS_OF_A_HOME: Final = 50
LEAST_WRITES: Final = 2_000
"""So that the kills are known to have fallen among writes."""


@pytest.mark.timeout(1200)  # two homes at work at once need long on a busy machine
def test_kills_lose_no_acknowledged_write(tmp_path: Path) -> None:
    """After each of 100 kills under concurrent writes every acknowledged one is there.

    Two homes are tormented at once. What was under way is there in part or not at all;
    counts and digest are those of a recount; building the read model anew from the
    shards gives the same digest.
    """
    torments = [Torment(tmp_path / f"home{seed}", seed) for seed in (1, 2)]
    for torment in torments:
        make_home(torment.home)
    with ThreadPoolExecutor(len(torments)) as threads:
        for done in [
            threads.submit(torment.run, KILLS_OF_A_HOME) for torment in torments
        ]:
            done.result()

    assert sum(torment.kills for torment in torments) == 2 * KILLS_OF_A_HOME
    for torment in torments:
        assert torment.acknowledged > LEAST_WRITES
        counted = recount(torment.home)
        assert rebuilt(torment.home) == counted


def rebuilt(home: Path) -> tuple[int, int, str]:
    """Build the read model of a home anew; return its nodes, edges and digest."""
    key = find_store_key(home, {}, None)
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)
        totals = rebuild(database, held.identity, held.keys)
    return totals.nodes, totals.edges, format_digest(int.from_bytes(totals.digest))
