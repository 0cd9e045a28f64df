"""A device that joined takes its place whole, whatever stops it and whenever."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdt.database import DATABASE_NAME, Database
from daemon.home import JOINED_NAME
from daemon.home_exchange import making_room, settle, take_over, write_device
from daemon.setup import open_key
from tests.support.homes import NOW_MS, new_home, open_home
from tests.support.inviting import Inviter, inviting
from transport.gift import Joined


@pytest.fixture
async def inviter(tmp_path: Path) -> AsyncIterator[Inviter]:
    """Run a device that invites."""
    async with inviting(tmp_path / "inviter") as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Name a home that is not there yet."""
    return tmp_path / "new"


@pytest.mark.parametrize(
    "name", ["store.check", "store.mark", DATABASE_NAME, "nothing"]
)
async def test_what_stops_it_from_taking_its_place_is_made_good(
    inviter: Inviter, home: Path, name: str
) -> None:
    """Wherever the moving of files was cut short, the next start goes on with it."""
    joined = await taken_from(inviter, home)
    in_the_way = home / name
    aside = home / "aside"
    if in_the_way.exists():
        in_the_way.replace(aside)
    in_the_way.mkdir()
    if name != "nothing":
        with pytest.raises(OSError, match=name):
            take_over(home)
    in_the_way.rmdir()
    if aside.exists():
        aside.replace(in_the_way)

    take_over(home)
    take_over(home)

    assert_taken(home, joined)


async def test_the_log_of_the_former_store_is_not_taken_for_its_own(
    inviter: Inviter, home: Path, tmp_path: Path
) -> None:
    """What a crash left of the empty device does not get into the new one."""
    joined = await taken_from(inviter, home)
    key, log = open_key(home, None, environment={}), f"{DATABASE_NAME}-wal"
    with Database(home, key.key) as database:
        database.writer.execute("CREATE TABLE former (name)")
        shutil.copy(home / log, tmp_path / log)
    shutil.copy(tmp_path / log, home / log)

    take_over(home)

    assert_taken(home, joined)
    with Database(home, key.key) as database:
        names = database.writer.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("former",) not in names


def assert_taken(home: Path, joined: Joined) -> None:
    """Check that a home holds a device that joined, and nothing else."""
    with open_home(home) as (replica, held):
        assert held.identity == joined.identity
        assert len(replica.roster.ranked) == 2
    assert not (home / JOINED_NAME).exists()


async def taken_from(inviter: Inviter, home: Path) -> Joined:
    """Return what a device began with; it waits beside an empty one in the home."""
    new_home(home)
    kept: list[Joined] = []
    source = home.with_name("source")
    opened = await inviter.pairing.open()
    await inviter.join(source, opened.code)
    with open_home(source) as (replica, held):
        kept.append(
            Joined(
                held.identity,
                held.keys,
                replica.roster.statements,
                inviter.held.identity.device,
                "laptop",
                (),
            )
        )
    key = open_key(home, None, environment={})
    with making_room(home) as folder:
        write_device(folder, key.key, kept[0], NOW_MS)
        settle(home)
    return kept[0]
