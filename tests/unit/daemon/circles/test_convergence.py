"""Members hold the same sets, whatever came when, and who was removed meanwhile."""

from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdt.circle_items import ItemKind
from crdt.errors import ConflictError
from tests.support.circle_people import Circle
from tests.support.circle_records import Keeper, contents, exchange, sums, writer
from tests.support.replicas import scratch_folder

NAMES = ("ada", "ben", "eve", "joe")


def happenings(dice: Random, circle: Circle) -> dict[ItemKind, list[bytes]]:
    """Let persons write, retract, vote, remove each other and go; return all of it."""
    written: dict[ItemKind, list[bytes]] = {kind: [] for kind in ItemKind}
    for name in NAMES[1:]:
        circle.welcome("ada", name)
    circle.is_apart = True
    for _ in range(40):
        name = dice.choice(NAMES)
        who = writer(circle, name, dice.choice(["phone", "laptop"]))
        what, sequence = dice.randrange(4), dice.randrange(1, 5)
        match dice.choice(["says", "says", "unsays", "votes", "is at", "states"]):
            case "says":
                content = who.says(what, sequence, dice.choice(["one", "other"]))
                written[ItemKind.CONTRIBUTION].append(content)
            case "unsays":
                written[ItemKind.CONTRIBUTION].append(who.unsays(what, sequence))
            case "votes":
                content = who.votes(what, sequence, dice.randrange(3))
                written[ItemKind.VOTE].append(content)
            case "is at":
                address = f"http://192.0.2.{what}:1"
                written[ItemKind.CARD].append(who.is_at(address, sequence=sequence))
            case _:
                state(dice, circle, name)
    written[ItemKind.STATEMENT] = [each.encoded for each in circle.everything()]
    return written


def state(dice: Random, circle: Circle, name: str) -> None:
    """Let a person state something, if they may."""
    other = dice.choice(NAMES)
    verb = dice.choice(["removes", "leaves", "rotates", "vouches"])
    try:
        circle.say(name, verb, other)
    except ConflictError:
        circle.together()


async def hear(
    dice: Random, keeper: Keeper, written: dict[ItemKind, list[bytes]]
) -> None:
    """Let a device hear a part of everything, shuffled, in parts and repeated."""
    pieces: list[tuple[ItemKind, list[bytes]]] = []
    for kind, all_of_it in written.items():
        some = [each for each in all_of_it if dice.random() < 0.7]
        some += dice.sample(some, len(some) // 3)
        dice.shuffle(some)
        while some:
            size = dice.randint(1, 6)
            pieces.append((kind, some[:size]))
            some = some[size:]
    dice.shuffle(pieces)
    for kind, piece in pieces:
        await keeper.records.keep(kind, piece)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**32))
async def test_two_devices_come_to_hold_the_same(seed: int) -> None:
    """Whatever two devices heard in whatever order, after an exchange they are equal.

    And so they are when they are opened again from their stores.
    """
    dice = Random(seed)
    circle = Circle("ada")
    one_knows = Circle("ada")
    written = happenings(dice, circle)
    with scratch_folder() as folder:
        one = Keeper(folder / "one", one_knows, "ada")
        other = Keeper(folder / "other", one_knows, "ben")
        async with one.running() as here, other.running() as there:
            await hear(dice, one, written)
            await hear(dice, other, written)
            await here.keep(ItemKind.STATEMENT, written[ItemKind.STATEMENT])
            while await exchange(here, there):
                pass
            assert sums(here) == sums(there)
            assert here.members == there.members
            held = await contents(here)
            assert held == await contents(there)
            for kind, items in held.items():
                assert [each.name for each in items] == list(here.names(kind))
            before = sums(here)
        async with one.running() as here, other.running() as there:
            assert sums(here) == sums(there) == before
            assert await contents(here) == await contents(there) == held


async def test_of_two_records_with_one_number_all_keep_the_same(tmp_path: Path) -> None:
    """Two devices of a person publish under one sequence: the smaller id stands."""
    circle = Circle.of("ada", "ben")
    ada = writer(circle, "ada")
    records = [ada.says("mill", 1, text) for text in ("one", "other")]
    held = []
    for number, order in enumerate((records, records[::-1])):
        ben = Keeper(tmp_path / str(number), circle, "ben")
        async with ben.running() as there:
            for content in order:
                await there.keep(ItemKind.CONTRIBUTION, [content])
            held.append((sums(there), await there.contributions()))
    assert held[0] == held[1]
    assert len(held[0][1]) == 1
