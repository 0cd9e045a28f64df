"""A circle's sets: equal for all members, durable, and nothing else gets in."""

import asyncio
from pathlib import Path

import pytest

from consensus.rule import QUOTA
from consensus.vote import Choice
from crdt.circle_items import ItemKind
from crdt.circle_notes_store import read_ledger
from crdt.circle_roster import vouch
from crdt.errors import ConflictError, DiskFullError, NotFoundError
from crdt.ids import NodeKey
from crdt.statement_kinds import Role
from daemon.circles.changes import Change
from daemon.circles.refusals import Refusal
from tests.support.circle_people import Circle
from tests.support.circle_records import Keeper, contents, exchange, sums, writer

CONTRIBUTION = ItemKind.CONTRIBUTION


async def test_what_is_published_reaches_others_and_survives(tmp_path: Path) -> None:
    """A contribution is the same on both sides, and still there after a restart."""
    circle = Circle.of("ada", "ben")
    ada = Keeper(tmp_path / "ada", circle, "ada")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    async with ada.running() as here, ben.running() as there:
        said = await ada.publish("mill")
        await here.vote(said.id, Choice.AFFIRM)
        assert await exchange(here, there) == 2
        assert sums(here) == sums(there)
        assert await there.contributions() == [said]
        assert there.tally(said.id).affirm == 1
        before = await contents(there), sums(there)
    async with ben.running() as there:
        assert (await contents(there), sums(there)) == before
        assert there.tally(said.id).affirm == 1
    async with ada.running() as here:
        assert here.own_vote(said.id) is Choice.AFFIRM
        assert [
            each.node_key for each in read_ledger(ada.database.writer, circle.id)
        ] == ["mill"]


async def test_what_is_taken_back_stays_taken_back(tmp_path: Path) -> None:
    """A retraction replaces what it retracts, and the older record is refused."""
    circle = Circle.of("ada", "ben")
    ada = Keeper(tmp_path / "ada", circle, "ada")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    async with ada.running() as here, ben.running() as there:
        said = await ada.publish("mill")
        await exchange(here, there)
        (old,) = await there.load(CONTRIBUTION, [said.id])
        await here.retract(NodeKey("mill"))
        with pytest.raises(NotFoundError):
            await here.retract(NodeKey("mill"))
        await exchange(here, there)
        (standing,) = await there.contributions()
        assert not standing.is_live
        kept = await there.keep(CONTRIBUTION, [old.content])
        assert kept.refused == {Refusal.SUPERSEDED: 1}
        assert there.lacking(CONTRIBUTION, [old.name]) == []
        assert sums(here) == sums(there)
        assert read_ledger(ada.database.writer, circle.id) == []


async def test_devices_of_one_person_have_one_voice(tmp_path: Path) -> None:
    """Both devices of a person publish one after the other under one name."""
    circle = Circle.of("ada")
    phone = Keeper(tmp_path / "phone", circle, "ada")
    laptop = Keeper(tmp_path / "laptop", circle, "ada", "laptop")
    async with phone.running() as here, laptop.running() as there:
        first = await phone.publish("mill")
        await exchange(here, there)
        second = await laptop.publish("mill", "Something better")
        await exchange(here, there)
        assert (first.sequence, second.sequence) == (1, 2)
        assert await here.contributions() == [second]
        with pytest.raises(ConflictError):
            await here.contribute(first, NodeKey("mill"))


async def test_a_record_that_came_too_early_comes_again(tmp_path: Path) -> None:
    """What a member wrote is refused before the statement on them, and taken after."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    circle.is_apart = True
    circle.welcome("ada", "eve")
    content = writer(circle, "eve").says("mill")
    async with ben.running() as there:
        kept = await there.keep(CONTRIBUTION, [content])
        assert kept.refused == {Refusal.AUTHOR: 1}
        assert there.lacking(CONTRIBUTION, kept.names) == kept.names
        news = circle.membership("ada").statements_since(circle.membership("ben"))
        await there.keep(ItemKind.STATEMENT, news)
        assert len((await there.keep(CONTRIBUTION, [content])).new) == 1


@pytest.mark.parametrize("verb", ["removes", "leaves"])
async def test_records_go_with_their_author(tmp_path: Path, verb: str) -> None:
    """When an author is removed or leaves, nothing of theirs stands or is offered."""
    circle = Circle.of("ada", "ben", "eve")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    changes = list[Change]()
    async with ben.running() as there:
        await ben.publish("mill")
        before = sums(there)[1:]
        eve = writer(circle, "eve")
        for kind, content in (
            (ItemKind.CARD, eve.is_at("http://192.0.2.1:1")),
            (CONTRIBUTION, eve.says("puppet")),
            (ItemKind.VOTE, eve.votes("node")),
        ):
            assert len((await there.keep(kind, [content])).new) == 1
        assert len(there.cards) == 1
        known = circle.membership("ben")
        there.on_change(changes.append)
        circle.say(*(("ada", "removes", "eve") if verb == "removes" else ("eve", verb)))
        news = circle.membership("ben").statements_since(known)
        await there.keep(ItemKind.STATEMENT, news)
        assert sums(there)[1:] == before
        assert there.cards == []
        assert changes[-1].gone == {circle.key("eve")}
        kept = await there.keep(CONTRIBUTION, [eve.says("other")])
        assert kept.refused == {Refusal.AUTHOR: 1}
    async with ben.running() as there:
        assert sums(there)[1:] == before


async def test_a_removal_that_falls_brings_records_back(tmp_path: Path) -> None:
    """Whose removal turns out not to count has all their records again."""
    circle = Circle("ada")
    circle.welcome("ada", "ben", role=Role.ADMIN)
    circle.welcome("ada", "eve", role=Role.ADMIN)
    ada = Keeper(tmp_path / "ada", circle, "ada")
    changes = list[Change]()
    async with ada.running() as here:
        content = writer(circle, "ben").says("mill")
        await here.keep(CONTRIBUTION, [content])
        before = sums(here)[1:]
        known = circle.membership("ada")
        circle.is_apart = True
        circle.say("eve", "removes", "ben")
        circle.say("ben", "removes", "eve")
        there = [
            circle.membership(name).statements_since(known) for name in ("eve", "ben")
        ]
        await here.keep(ItemKind.STATEMENT, there[0])
        assert here.count(CONTRIBUTION) == 0
        here.on_change(changes.append)
        await here.keep(ItemKind.STATEMENT, there[1])
        assert circle.key("ben") in here.members
        assert sums(here)[1:] == before
        assert [each.text for each in changes[-1].contributions] == ["thought mill"]


async def test_who_is_no_member_publishes_nothing(tmp_path: Path) -> None:
    """A person who was removed is told so, and nothing is written."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    circle.say("ada", "removes", "ben")
    async with ben.running() as there:
        with pytest.raises(ConflictError, match="no longer a member"):
            await ben.publish("mill")
        with pytest.raises(ConflictError, match="no longer a member"):
            await there.vote(bytes(32), Choice.AFFIRM)
        assert there.count(CONTRIBUTION) == 0
        assert read_ledger(ben.database.writer, circle.id) == []


async def test_all_that_an_honest_author_has_comes_at_once(tmp_path: Path) -> None:
    """The first time, everything that counts of an author is taken without delay."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    ada = writer(circle, "ada")
    async with ben.running() as there:
        everything = [ada.says(number) for number in range(QUOTA)]
        kept = await there.keep(CONTRIBUTION, everything)
        assert (len(kept.new), kept.refused.total()) == (QUOTA, 0)


async def test_a_forged_vector_can_be_put_away(tmp_path: Path) -> None:
    """What is quarantined is gone, is not taken again, and stays away."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    content = writer(circle, "ada").says("mill")
    changes = list[Change]()
    async with ben.running() as there:
        empty = sums(there)
        (item,) = (await there.keep(CONTRIBUTION, [content])).new
        there.on_change(changes.append)
        await there.quarantine([item.name.id])
        assert changes[-1].has_lost
        assert sums(there) == empty
        kept = await there.keep(CONTRIBUTION, [content])
        assert kept.refused == {Refusal.QUARANTINED: 1}
    async with ben.running() as there:
        kept = await there.keep(CONTRIBUTION, [content])
        assert kept.refused == {Refusal.QUARANTINED: 1}
        assert there.quarantined == {item.name.id: circle.key("ada")}
        assert there.lacking(CONTRIBUTION, [item.name]) == []
        assert sums(there) == empty


async def test_a_statement_of_ones_own_is_kept(tmp_path: Path) -> None:
    """What a person states is in the roster, told, and there after a restart."""
    circle = Circle.of("ada", "ben")
    ada = Keeper(tmp_path / "ada", circle, "ada")
    changes = list[Change]()
    async with ada.running() as here:
        here.on_change(changes.append)
        (item,) = await here.state(
            lambda roster, own, _: vouch(roster, own, circle.key("ben"))
        )
        assert [each.new for each in changes] == [[item]]
        names = here.names(ItemKind.STATEMENT)
        assert item.name in names
    async with ada.running() as here:
        assert here.names(ItemKind.STATEMENT) == names
        assert here.statements[-1] == item.content


async def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """What could not be written is neither offered nor told; later it is taken."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    content = [writer(circle, "ada").says(number) for number in range(50)]
    changes = list[Change]()
    async with ben.running() as there:
        there.on_change(changes.append)
        empty, store = sums(there), ben.database.writer
        store.pragma("max_page_count", store.pragma("page_count"))
        with pytest.raises(DiskFullError):
            await there.keep(CONTRIBUTION, content)
        assert (sums(there), changes) == (empty, [])
        store.pragma("max_page_count", 1_000_000)
        assert len((await there.keep(CONTRIBUTION, content)).new) == len(content)


async def test_what_was_begun_is_finished(tmp_path: Path) -> None:
    """Who stops waiting for a record does not keep it from being taken."""
    circle = Circle.of("ada", "ben")
    ben = Keeper(tmp_path / "ben", circle, "ben")
    async with ben.running() as there:
        content = writer(circle, "ada").says("mill")
        waiting = asyncio.create_task(there.keep(CONTRIBUTION, [content]))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await there.close()
        assert there.count(CONTRIBUTION) == 1
        assert len(await there.contributions()) == 1
