"""What a device does by itself in a circle: its card, what it owes, farewells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.circle_items import ItemKind
from crdt.ids import AuthorKey
from daemon.circles.circle import Circle
from daemon.circles.taking_part import FAREWELL_MS, TURN_MS
from tests.support.circle_homes import Home, founded, homes, ticket, until
from tests.support.replicas import scratch_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as path:
        yield path


async def joined(ada: Home, ben: Home) -> tuple[Circle, Circle]:
    """Return the circle of two persons, as each has it."""
    here = await founded(ada)
    return here, await ben.circles.join(await ticket(here), "ben")


async def hear(listener: Circle, speaker: Circle) -> None:
    """Let one have all statements of the other."""
    await listener.records.keep(ItemKind.STATEMENT, speaker.records.statements)


def addresses(circle: Circle, author: AuthorKey) -> list[tuple[str, ...]]:
    """Return where the devices of somebody are, as a device knows it."""
    return [each.addresses for each in circle.records.cards if each.author == author]


async def test_a_card_follows_the_device(folder: Path) -> None:
    """A new address makes a new card in place of the one before, the same does not."""
    async with homes(folder, "ada") as (ada,):
        here = await founded(ada)
        me = here.records.author
        await until(lambda: addresses(here, me) == [("127.0.0.1:1",)])
        (before,) = here.records.cards
        ada.circles.look()
        ada.places = ("192.0.2.1:7374",)
        ada.circles.network_changed()

        await until(lambda: addresses(here, me) == [("127.0.0.1:1", "192.0.2.1:7374")])

        (after,) = here.records.cards
        assert after.sequence > before.sequence
        assert after.device == before.device


async def test_after_somebody_left_there_is_a_new_key(folder: Path) -> None:
    """Made by whoever is there, when it is their turn."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        epoch = here.records.roster.present_epoch
        await there.leave()

        await hear(here, there)
        ada.now_ms += 2 * TURN_MS
        ada.circles.look()

        await until(lambda: here.records.roster.present_epoch != epoch)
        assert here.records.membership.present_epoch is not None
        assert here.records.roster.ungranted == frozenset()


async def test_who_was_removed_has_a_moment_to_learn_of_it(folder: Path) -> None:
    """Its devices stand as removed, then they are forgotten."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        device = there.records.identity.device.device
        await until(lambda: device in here.part.known)

        await here.remove(there.records.author)
        assert here.part.known[device].is_removed

        ada.now_ms += FAREWELL_MS
        ada.circles.look()
        await until(lambda: device not in here.part.known)


async def test_who_hears_of_its_removal_shows_it(folder: Path) -> None:
    """And takes no part any more."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        await here.remove(there.records.author)

        await hear(there, here)

        assert there.overview().state == "removed"
        await until(lambda: there.part.is_ended)
        assert await ben.ask(b"any question") is None


async def test_a_member_links_with_nobody_who_is_none(folder: Path) -> None:
    """Devices are known by cards of members only."""
    async with homes(folder, "ada", "ben", "cleo") as (ada, ben, cleo):
        here, there = await joined(ada, ben)
        stranger = await founded(cleo)

        known = {each.author for each in here.part.known.values()}

        assert there.records.author in known
        assert stranger.records.author not in known
        assert known <= here.records.members


async def test_whoever_invites_grants_at_once(folder: Path) -> None:
    """A member that a member brought in has the key when it is in."""
    async with homes(folder, "ada", "ben", "cleo") as (ada, ben, cleo):
        _, there = await joined(ada, ben)

        third = await cleo.circles.join(await ticket(there), "cleo")

        assert third.records.membership.present_epoch is not None
        assert len(third.records.members) == 3
        assert third.overview().members[-1].inviter == there.records.author
