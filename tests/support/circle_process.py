"""A device that publishes, retracts, hears of members and loses them, until killed.

Run as `python -m tests.support.circle_process HOME FIRST`; prints a line for each thing
that it was told is durable: `+ node`, `- node`, `removed`.
"""

import asyncio
import sys
from pathlib import Path

from consensus.contribution import contribute
from crdt.circle_items import ItemKind
from crdt.circle_roster import remove_person
from crdt.circle_store import read_circles
from crdt.ids import AuthorKey, NodeKey
from daemon.circles.keeping import Clocks
from daemon.circles.opening import begin_circle, open_circle
from daemon.circles.records import CircleRecords
from daemon.circles.shelf import OwnerShelf
from daemon.owner import Owner
from tests.support.circle_people import Circle, person
from tests.support.circle_records import writer
from tests.support.contributions import MODELS, vector
from tests.support.replicas import START_MS, Device

PUPPETS = 3
"""How many others of the circle write, each removed in the end."""


def circle() -> Circle:
    """Return the circle that the process is in, all of its persons in it."""
    return Circle.of("ada", *(f"puppet {number}" for number in range(PUPPETS)))


async def live(records: CircleRecords, first: int) -> None:
    """Do one thing after the other; tell what is durable."""
    number = first
    everybody = circle()
    while True:
        node = NodeKey(f"node {number}")
        contribution = contribute(
            records.circle,
            records.author,
            records.reference(node),
            records.next_sequence(),
            text=f"thought {number}",
            model=MODELS[0],
            vector=vector(number % 8),
            epoch=2900,
        )
        await records.contribute(contribution, node)
        tell(f"+ {node}")
        puppet = f"puppet {number % PUPPETS}"
        written = [writer(everybody, puppet).says(each, number) for each in range(9)]
        await records.keep(ItemKind.CONTRIBUTION, written)
        if number % 3 == 0:
            await records.retract(node)
            tell(f"- {node}")
        if number % 5 == 4 and everybody.key(puppet) in records.members:
            await remove(records, everybody.key(puppet), number)
            tell("removed")
        number += 1


async def remove(records: CircleRecords, author: AuthorKey, number: int) -> None:
    """Remove somebody."""
    secret = number.to_bytes(32)
    await records.state(
        lambda roster, own, keys: remove_person(roster, own, keys, author, secret)
    )


def tell(line: str) -> None:
    """Let the parent know."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(home: Path, first: int) -> None:
    """Open the store, or make one, and go on from where it is."""
    device = Device(home)
    with device.running(clean=False) as replica:
        no_time = Clocks(lambda: START_MS, lambda: 0)
        async with Owner(
            lambda: replica, no_time.wall_ms, no_time.monotonic_ms, lambda _: None
        ) as owner:
            shelf = OwnerShelf(owner)
            if not await shelf.read(read_circles):
                everybody = circle()
                membership = everybody.membership("ada")
                await begin_circle(shelf, everybody.founding.encoded, membership)
            (stored,) = await shelf.read(read_circles)
            records = await open_circle(shelf, stored, person("ada"), no_time)
            await live(records, first)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
