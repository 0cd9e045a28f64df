"""Who meets silence in a circle learns why; everybody else is answered nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from crdt.circle_card import make_card
from crdt.circle_items import ItemKind
from crdt.errors import PeerError
from crdt.ids import DeviceId
from crdt.keys import seal_to
from daemon.circles.circle import Circle
from daemon.circles.introducing import Asked, Introductions
from daemon.mesh.calling import ENROL
from tests.support.circle_homes import Home, founded, homes, ticket, until
from tests.support.circle_people import Circle as People
from tests.support.replicas import scratch_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as path:
        yield path


def device(circle: Circle) -> DeviceId:
    """Return the id of this device in the circle."""
    return circle.records.identity.device.device


def parts(circle: Circle) -> Introductions:
    return circle.part.introductions


async def joined(ada: Home, ben: Home) -> tuple[Circle, Circle]:
    """Return the circle of two persons whose devices know of each other."""
    here = await founded(ada)
    there = await ben.circles.join(await ticket(here), "ben")
    for circle in (here, there):
        await until(lambda circle=circle: circle.part.card is not None)  # type: ignore[misc]  # bound at once
    for one, other in ((here, there), (there, here)):
        await one.records.keep(
            ItemKind.CARD, [each.content for each in other.records.cards]
        )
    await until(lambda: device(here) in there.part.known)
    return here, there


async def introduce(asker: Circle, asked: Home, circle: Circle) -> bytes | None:
    """Let a device show itself to another; return the answer, which it took in."""
    question = await parts(asker).question(device(circle))
    assert question is not None
    answer = await asked.ask(question, ENROL)
    if answer is not None:
        await parts(asker).take(answer)
    return answer


async def test_who_was_removed_learns_of_it_and_of_nothing_after_it(
    folder: Path,
) -> None:
    """Of who came after that it hears nothing."""
    async with homes(folder, "ada", "ben", "cleo") as (ada, ben, cleo):
        here, there = await joined(ada, ben)
        await here.remove(there.records.author)
        third = await cleo.circles.join(await ticket(here), "cleo")
        assert there.overview().state == "active"

        assert await introduce(there, ada, here) is not None

        assert there.overview().state == "removed"
        assert third.records.author in here.records.members
        assert third.records.author not in there.records.members
        await until(lambda: there.part.is_ended)


async def test_a_member_whose_card_was_lost_is_known_again(folder: Path) -> None:
    """It is shown what it lacks, too."""
    async with homes(folder, "ada", "ben", "cleo") as (ada, ben, cleo):
        here = await founded(ada)
        there = await ben.circles.join(await ticket(here), "ben")
        third = await cleo.circles.join(await ticket(here), "cleo")
        await until(lambda: third.part.card is not None)
        held = {each.device for each in here.records.cards}
        assert third.records.author not in there.records.members
        assert device(third) in held
        await until(lambda: there.part.card is not None)
        await third.records.keep(
            ItemKind.CARD, [each.content for each in there.records.cards]
        )
        await there.records.keep(ItemKind.STATEMENT, third.records.statements)
        assert device(third) not in there.part.known

        assert await introduce(third, ben, there) is not None

        await until(lambda: device(third) in there.part.known)


FAULTS: Final = ["stranger", "not signed", "malformed", "other circle", "not sealed"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_nobody_else_is_answered(folder: Path, fault: str) -> None:
    """Silence for who never was a member, for what is forged and what is none."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        who = there.records.identity
        card = there.part.card
        assert card is not None
        content, circle = card.content, here.id
        if fault == "stranger":
            other = People.of("cleo").who("cleo")
            stranger = make_card(here.id, other.author, other.device, 1, ())
            content = stranger.content
        if fault == "not signed":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault == "other circle":
            content = make_card(
                type(circle)(bytes(32)), who.author, who.device, 1, ()
            ).content
        version = 2 if fault == "malformed" else 1
        info = b"fractality/1 circle introduction\0" + circle + device(here)
        encoded = msgspec.msgpack.encode(Asked(version, content, ()))
        sealed = seal_to(here.records.identity.device.hpke_key, info, encoded)
        if fault == "not sealed":
            sealed = bytes(len(sealed))

        assert await ada.ask(sealed, ENROL) is None


async def test_who_is_paused_neither_asks_nor_answers(folder: Path) -> None:
    """Nothing is exchanged then."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        question = await parts(there).question(device(here))
        assert question is not None
        here.part.pause(is_paused=True)
        there.part.pause(is_paused=True)

        assert await ada.ask(question, ENROL) is None
        assert await parts(there).question(device(here)) is None


async def test_who_left_answers_nobody(folder: Path) -> None:
    """What goes on in the circle is no longer theirs to tell."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, there = await joined(ada, ben)
        question = await parts(here).question(device(there))
        assert question is not None
        assert await ben.ask(question, ENROL) is not None
        await there.leave()

        assert await ben.ask(question, ENROL) is None


async def test_who_is_unknown_is_not_asked(folder: Path) -> None:
    """Nothing can be sealed to a device whose card is not there."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, _ = await joined(ada, ben)
        assert await parts(here).question(DeviceId(bytes(16))) is None


async def test_an_answer_that_is_not_one_is_refused(folder: Path) -> None:
    """Neither bytes that do not open nor those that break the format are taken in."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here, _ = await joined(ada, ben)
        own = here.records.identity.device
        info = b"fractality/1 circle introduction answer\0" + here.id + own.device
        for answer in (
            bytes(100),
            seal_to(own.hpke_key, info, msgspec.msgpack.encode((1, 2, 3))),
        ):
            with pytest.raises(PeerError):
                await parts(here).take(answer)
