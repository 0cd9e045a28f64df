"""A circle whose device is killed at any moment is whole when it starts again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random

from crdt.circle_items import ItemKind, SetSum
from crdt.circle_notes_store import read_ledger
from crdt.circle_store import read_circles
from crdt.database import Database
from daemon.circles.keeping import Clocks
from daemon.circles.opening import open_circle
from daemon.circles.records import CircleRecords
from tests.support.circle_people import person
from tests.support.circle_records import StoreShelf, contents
from tests.support.replicas import START_MS, STORE_KEY, scratch_folder

REPOSITORY = Path(__file__).parents[2]
KILLS = 5


@contextmanager
def process(home: Path, first: int) -> Iterator["subprocess.Popen[str]"]:
    """Run a device; kill it when the block ends."""
    command = [sys.executable, "-m", "tests.support.circle_process", str(home)]
    with subprocess.Popen(
        [*command, str(first)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


async def test_a_kill_leaves_a_whole_circle() -> None:
    """After `kill -9` all that was told durable is there, and every part fits."""
    dice = Random(5)
    told: list[str] = []
    with scratch_folder() as folder:
        home = folder / "home"
        for number in range(KILLS):
            with process(home, 1_000 * number) as running:
                assert running.stdout is not None
                told += islice(running.stdout, dice.randrange(1, 30))
                running.kill()
                told += running.stdout
            await verify(home, list(map(str.strip, told)))
    assert any(line.startswith("-") for line in told)
    assert "removed\n" in told


async def verify(home: Path, told: list[str]) -> None:
    """Open a store and compare all that it says."""
    with Database(home, STORE_KEY) as database:
        (stored,) = read_circles(database.writer)
        clocks = Clocks(lambda: START_MS, lambda: 0)
        shelf = StoreShelf(database.writer)
        records = await open_circle(shelf, stored, person("ada"), clocks)
        await verify_sets(records)
        own = await records.contributions_of(records.author)
        published = read_ledger(database.writer, records.circle)
        live = {each.reference for each in own if each.is_live}
        assert {each.reference for each in published} == live
        nodes = {each.node_key for each in published}
        taken_back = {line[2:] for line in told if line.startswith("-")}
        assert {line[2:] for line in told if line.startswith("+")} <= nodes | taken_back
        assert not nodes & taken_back
        removed = sum(member.is_removed for member in records.roster.members.values())
        assert removed >= told.count("removed")


async def verify_sets(records: CircleRecords) -> None:
    """Compare the sums, the names and the contents of all sets."""
    for kind, items in (await contents(records, ItemKind)).items():
        total = SetSum()
        for item in items:
            total = total.plus(item.name.id)
        assert total == records.sum(kind)
        assert sorted(item.name for item in items) == list(records.names(kind))
    for each in await records.contributions():
        assert each.author in records.members
