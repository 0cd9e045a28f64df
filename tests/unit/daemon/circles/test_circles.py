"""Circles as a person has them: founding, tickets, joining, own devices, restarts."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from consensus.rule import Preset
from crdt.circle_items import ItemKind
from crdt.errors import ConflictError, InvalidError, NotFoundError
from crdt.ids import CircleId
from daemon.circles.circles import QUESTIONS_AT_ONCE
from daemon.circles.entering import NobodyAnswersError, NotAdmittedError
from tests.support.circle_homes import WEEK, Home, founded, homes, ticket, until
from tests.support.replicas import scratch_folder
from transport.circle_messages import (
    Cause,
    Question,
    Told,
    open_answer,
    seal_question,
)
from transport.circle_ticket import format_ticket, parse_ticket
from transport.frames import Circles as Announcement


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as path:
        yield path


async def tell(speaker: Home, listener: Home) -> None:
    """Carry what a device tells the person's other one."""
    for told in speaker.circles.announcements():
        await listener.circles.hear(told)


async def test_who_joins_has_all_that_there_is(folder: Path) -> None:
    """Members, who let them in, the key, and where the inviter is."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        there = await ben.circles.join(await ticket(here), "ben")

        view = there.overview()
        assert (view.name, view.preset, view.state) == ("mill", Preset.BROAD, "active")
        inviters = {each.alias: each.inviter for each in view.members}
        assert inviters == {"ada": None, "ben": here.records.author}
        assert there.records.membership.present_epoch is not None
        assert {each.author for each in there.records.cards} >= {here.records.author}
        assert there.records.author in {each.author for each in here.records.cards}
        kinds = (ItemKind.STATEMENT,)
        assert [here.records.names(kind) for kind in kinds] == [
            there.records.names(kind) for kind in kinds
        ]


async def test_a_ticket_is_good_so_often(folder: Path) -> None:
    """Beyond that its holder is told, and nothing is kept there."""
    async with homes(folder, "ada", "ben", "cleo") as (ada, ben, cleo):
        text = await ticket(await founded(ada))
        await ben.circles.join(text, None)

        with pytest.raises(NotAdmittedError, match="used") as refused:
            await cleo.circles.join(text, None)

        assert refused.value.cause is Cause.USED_UP
        assert cleo.circles.all() == []


async def test_a_ticket_is_good_so_long(folder: Path) -> None:
    """By the inviter's clock."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        text = await ticket(await founded(ada), seconds=60)
        ada.now_ms += 60_000

        with pytest.raises(NotAdmittedError, match="expired"):
            await ben.circles.join(text, None)


async def test_a_lost_answer_costs_no_use(folder: Path) -> None:
    """The question is asked again, and the person is in once."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        losses = iter(("first", "second"))
        ben.net.is_lossy = lambda: next(losses, None) is not None

        there = await ben.circles.join(await ticket(here), None)

        assert len(there.records.members) == 2
        assert ben.net.asked == 3


async def test_nobody_is_let_in_by_another_secret(folder: Path) -> None:
    """Silence is all that is heard, and nothing is kept on either side."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        good = parse_ticket(await ticket(here))
        forged = msgspec.structs.replace(good, secret=b"x" * 16)

        with pytest.raises(NobodyAnswersError, match="Nothing was kept"):
            await ben.circles.join(format_ticket(forged), None)

        assert len(here.records.members) == 1
        assert ben.circles.all() == []


async def test_where_nobody_is_nobody_answers(folder: Path) -> None:
    """The person is told so."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        text = await ticket(await founded(ada))
        ben.net.homes.clear()

        with pytest.raises(NotFoundError):
            await ben.circles.join(text, None)


async def test_joining_twice_changes_nothing(folder: Path) -> None:
    """Nor does joining what one founded."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        text = await ticket(await founded(ada), uses=5)
        await ben.circles.join(text, None)

        for home in (ada, ben):
            with pytest.raises(ConflictError, match="already"):
                await home.circles.join(text, None)


async def test_who_was_removed_stays_out(folder: Path) -> None:
    """Also on a device that never heard of the circle."""
    async with homes(folder, "ada", "ben", "ben tablet") as (ada, ben, tablet):
        here = await founded(ada)
        text = await ticket(here, uses=5)
        there = await ben.circles.join(text, None)
        await here.remove(there.records.author)
        tablet.net.homes[1] = ada

        with pytest.raises(NotAdmittedError, match="final"):
            await tablet.circles.join(text, None)

        assert here.overview().members[1].state == "removed"


async def test_tickets_of_who_left_or_paused_are_explained(folder: Path) -> None:
    """Not by silence."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        text = await ticket(here)
        ada.circles.pause(is_paused=True)
        with pytest.raises(NotAdmittedError, match="paused"):
            await ben.circles.join(text, None)
        ada.circles.pause(is_paused=False)
        await here.leave()

        with pytest.raises(NotAdmittedError, match="not in the circle any more"):
            await ben.circles.join(text, None)
        with pytest.raises(ConflictError):
            await here.invite(1, WEEK)


async def test_a_restart_forgets_nothing(folder: Path) -> None:
    """Circles, and how often a ticket may still be used."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        text = await ticket(await founded(ada), uses=2)
        await ben.circles.join(text, None)
    async with homes(folder, "ada", "ben", "cleo", "dan") as (ada, ben, cleo, dan):
        assert [len(each.circles.all()) for each in (ada, ben)] == [1, 1]

        await cleo.circles.join(text, None)
        with pytest.raises(NotAdmittedError):
            await dan.circles.join(text, None)


async def test_a_failed_admission_costs_no_use(folder: Path) -> None:
    """Whoever did not agree to be added is not, and somebody else still can be."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        text = await ticket(here)
        parsed = parse_ticket(text)
        stranger = ben.identity
        question = Question(
            secret=parsed.secret,
            nonce=secrets.token_bytes(16),
            public_key=stranger.public_key,
            hpke_key=stranger.hpke_key,
            name="stranger",
            consent=bytes(64),
            card=b"no card",
            gift=None,
            number=0,
        )

        answer = await ada.ask(seal_question(parsed.circle, parsed.hpke_key, question))

        assert answer is not None
        told = open_answer(parsed.circle, stranger.hpke_seed, question, answer)
        assert told == Told(Cause.FAILED)
        assert len(here.records.members) == 1
        await ben.circles.join(text, None)


async def test_questions_are_rationed(folder: Path) -> None:
    """Whoever asks without end is not answered without end."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        text = await ticket(await founded(ada))
        for _ in range(QUESTIONS_AT_ONCE + 20):
            assert await ada.ask(b"junk") is None

        with pytest.raises(NobodyAnswersError):
            await ben.circles.join(text, None)


async def test_circles_are_found_by_id_and_name(folder: Path) -> None:
    """By the beginning of an id, too, if it is long enough."""
    async with homes(folder, "ada") as (ada,):
        first, second = await founded(ada), await founded(ada)
        await ada.circles.found("weir", Preset.STRICT, None)

        assert ada.circles.circle(first.id.hex()) is first
        assert ada.circles.circle(second.id.hex()[:12].upper()) is second
        assert ada.circles.circle(" weir ").name == "weir"
        for text in ("mill", "", first.id.hex()[:3], "0" * 64):
            with pytest.raises(NotFoundError):
                ada.circles.circle(text)
        assert first.records.author != second.records.author


async def test_names_that_nobody_could_read_are_refused(folder: Path) -> None:
    """And nothing is founded."""
    async with homes(folder, "ada") as (ada,):
        for name, alias in (("", None), ("a\nb", None), ("mill", "\0")):
            with pytest.raises(InvalidError):
                await ada.circles.found(name, Preset.STRICT, alias)
        with pytest.raises(InvalidError):
            await ada.circles.join("fractality-circle-aaaa", None)

        assert ada.circles.all() == []


async def test_own_devices_take_part_by_themselves(folder: Path) -> None:
    """They are one member, and know of each other's cards."""
    async with homes(folder, "ada", "ada tablet") as (phone, tablet):
        here = await founded(phone)
        await tell(phone, tablet)
        (there,) = tablet.circles.all()
        await until(lambda: bool(here.own.cards and there.own.cards))
        await tell(phone, tablet)
        await tell(tablet, phone)

        assert there.id == here.id
        assert there.records.author == here.records.author
        both = (here.records, there.records)
        devices = {each.identity.device.device for each in both}
        assert len(devices) == 2
        assert here.part.known.keys() == there.part.known.keys() == devices
        assert phone.told


async def test_who_left_on_one_device_has_left_on_all(folder: Path) -> None:
    """Also after a restart, though the others' roster may not say so."""
    async with homes(folder, "ada", "ada tablet") as (phone, tablet):
        here = await founded(phone)
        await tell(phone, tablet)
        await here.leave()
        await tell(phone, tablet)

        (there,) = tablet.circles.all()
        assert there.overview().state == here.overview().state == "left"
    async with homes(folder, "ada tablet") as (tablet,):
        assert tablet.circles.all()[0].overview().state == "left"


async def test_what_others_announce_falsely_is_dropped(folder: Path) -> None:
    """A founding statement of another circle, and cards of others."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        await until(lambda: bool(here.own.cards))
        own = here.own
        other = CircleId(bytes(32))

        await ben.circles.hear(
            Announcement((msgspec.structs.replace(own, circle=other),))
        )
        assert ben.circles.all() == []

        await ben.circles.hear(
            Announcement((msgspec.structs.replace(own, cards=(b"x", *own.cards)),))
        )
        (there,) = ben.circles.all()
        assert here.records.identity.device.device not in there.part.known


async def test_the_founder_removes_and_vouches(folder: Path) -> None:
    """Others may not, and nobody can be removed twice."""
    async with homes(folder, "ada", "ben") as (ada, ben):
        here = await founded(ada)
        there = await ben.circles.join(await ticket(here), "ben")
        with pytest.raises(ConflictError):
            await there.remove(here.records.author)
        with pytest.raises(ConflictError):
            await there.vouch(here.records.author)
        await here.vouch(there.records.author)
        assert here.overview().members[1].is_vouched
        epoch = here.records.roster.present_epoch

        await here.remove(there.records.author)

        assert here.records.roster.present_epoch != epoch
        assert here.records.members == {here.records.author}
        with pytest.raises(NotFoundError):
            await here.remove(there.records.author)


async def test_who_is_alone_leaves_at_once(folder: Path) -> None:
    """Nobody has to be told."""
    async with homes(folder, "ada") as (ada,):
        here = await founded(ada)
        await here.leave()
        with pytest.raises(ConflictError):
            await here.leave()

        view = here.overview()

    assert (view.state, view.is_in_step) == ("left", False)
    assert view.cause == "you left this circle"
