"""Forged vectors are found behind their backs; without a model that is said."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consensus.contribution import contribute
from consensus.errors import NoModelError, WorkerLostError
from crdt.circle_items import ItemKind
from crdt.ids import CircleId
from daemon.circles.checkers import Checkers
from daemon.circles.checking import AT_ONCE, NOTHING, TRIES, Checking, State
from daemon.circles.records import CircleRecords
from daemon.circles.refusals import Refusal
from tests.support.circle_people import Circle
from tests.support.circle_records import Keeper, StoreShelf, Writer, writer
from tests.support.contributions import MODELS, vector

PATIENCE: Final = 30.0
DEADLY: Final = "a text that no process survives"


@dataclass
class Model:
    """A model to which all texts mean the same, unless they name a direction."""

    tag: bytes | None = MODELS[0]
    is_broken: bool = False
    embedded: list[str] = field(default_factory=list)
    next_tag: bytes | None = None
    """What takes over while texts are embedded, so that they come from that one."""

    async def present_tag(self) -> bytes | None:
        return self.tag

    async def in_background(self, texts: Sequence[str]) -> list[bytes]:
        await asyncio.sleep(0)
        if self.is_broken:
            message = "It is broken."
            raise NoModelError(message)
        self.embedded += texts
        if self.next_tag is not None:
            self.tag, self.next_tag = self.next_tag, None
            return [vector(5) for _ in texts]
        if DEADLY in texts:
            raise WorkerLostError
        return [vector(0, [len(text) % 2]) for text in texts]


@dataclass
class Member:
    """A device that checks what others say."""

    records: CircleRecords
    shelf: StoreShelf
    others: dict[str, Writer]
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin as a program does that has just been started."""
        circle = self.records.circle
        self.checking = Checking(circle, self.records, self.shelf, self.model)
        self.records.on_change(lambda each: self.checking.arrived(each.contributions))

    async def hear(self, *contents: bytes) -> Counter[Refusal]:
        kept = await self.records.keep(ItemKind.CONTRIBUTION, contents)
        return kept.refused

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.checking.run())
        async with asyncio.timeout(PATIENCE):
            yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  # a store is asked in between
            await asyncio.sleep(0)

    async def until_done(self) -> None:
        await self.until(lambda: self.checking.standing().state is State.DONE)


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Member]:
    """Open the records of a member of a circle of three."""
    circle = Circle.of("ada", "bob", "cyd")
    keeper = Keeper(home, circle, "ada")
    async with keeper.running() as records:
        others = {name: writer(circle, name) for name in ("bob", "cyd")}
        shelf = StoreShelf(keeper.database.writer)
        yield Member(records, shelf, others)


def forged(who: Writer, what: str, *, model: bytes = MODELS[0]) -> bytes:
    """Return a signed contribution with a vector that is not of its text."""
    return who.signed(
        contribute(
            who.who.circle,
            who.who.author_key,
            what.encode().rjust(16),
            7,
            text=what,
            model=model,
            vector=vector(3),
            epoch=2900,
        )
    )


async def test_a_forged_vector_is_quarantined(tmp_path: Path) -> None:
    """It stands no more, is not taken again, and what is honest stays."""
    async with opened(tmp_path) as member:
        bob, cyd = member.others["bob"], member.others["cyd"]
        lie = forged(cyd, "a lie")
        await member.hear(bob.says("one"), bob.says("two"), lie)
        async with member.running():
            await member.until(lambda: member.checking.standing().forged == 1)
            await member.until_done()

            standing = await member.records.contributions()
            assert {each.author for each in standing} == {bob.who.author_key}
            assert await member.hear(lie) == {Refusal.QUARANTINED: 1}
            checks = member.checking.standing()
            assert (checks.unchecked, checks.forged, checks.cause) == (0, 1, None)


async def test_what_arrives_is_checked_once(tmp_path: Path) -> None:
    """Neither later nor after a restart is a text embedded again; own ones never."""
    async with opened(tmp_path) as member:
        bob = member.others["bob"]
        async with member.running():
            await member.until_done()
            contents = [bob.says(number) for number in range(AT_ONCE + 3)]
            await member.hear(*contents, bob.unsays("nothing"))
            await member.until(lambda: member.checking.standing().unchecked == 0)
        await member.hear(bob.says("new"))
        member.start()
        async with member.running():
            await member.until_done()

        assert len(member.model.embedded) == AT_ONCE + 4
        assert len(set(member.model.embedded)) == AT_ONCE + 4
        assert member.checking.standing().unchecked == 0


async def test_without_a_model_nothing_is_checked_and_that_is_said(
    tmp_path: Path,
) -> None:
    """All is taken as it comes; a model that comes later checks it."""
    async with opened(tmp_path) as member:
        member.model.tag = None
        await member.hear(forged(member.others["bob"], "a lie"))
        async with member.running():
            await member.until(lambda: member.checking.standing().state is State.OFF)
            checks = member.checking.standing()
            assert (checks.unchecked, checks.forged) == (1, 0)
            assert "not checked" in str(checks.cause)

            member.model.tag, member.model.is_broken = MODELS[0], True
            member.checking.arrived(())
            await member.until(
                lambda: member.checking.standing().cause == "It is broken."
            )

            member.model.is_broken = False
            member.checking.arrived(())
            await member.until_done()
            assert member.checking.standing().forged == 1


async def test_what_comes_without_a_model_is_checked_later(tmp_path: Path) -> None:
    """Nothing is remembered of it meanwhile, and nothing is forgotten."""
    async with opened(tmp_path) as member:
        bob, cyd = member.others["bob"], member.others["cyd"]
        member.model.is_broken = True
        await member.hear(bob.says("before"))
        async with member.running():
            await member.until(lambda: member.checking.standing().state is State.OFF)
            await member.hear(bob.says("honest"), forged(cyd, "a lie"))
            member.model.is_broken = False
            member.checking.arrived(())

            await member.until(lambda: member.checking.standing().forged == 1)
            await member.until_done()
            assert member.checking.standing().unchecked == 0


async def test_other_models_vectors_are_left(tmp_path: Path) -> None:
    """Nobody here can know; they are counted, and checked when that model is here."""
    async with opened(tmp_path) as member:
        bob = member.others["bob"]
        await member.hear(forged(bob, "of another model", model=MODELS[1]))
        async with member.running():
            await member.until_done()
            assert member.checking.standing().unchecked == 1
            assert member.model.embedded == []

            member.model.tag = MODELS[1]
            member.checking.arrived(())
            await member.until(lambda: member.checking.standing().forged == 1)


async def test_a_model_that_is_taken_over_accuses_nobody(tmp_path: Path) -> None:
    """What was embedded while the model changed is no ground to let go of anything."""
    async with opened(tmp_path) as member:
        member.model.next_tag = MODELS[1]
        await member.hear(member.others["bob"].says("honest"))
        async with member.running():
            await member.until_done()

            checks = member.checking.standing()
            assert (checks.unchecked, checks.forged) == (1, 0)
            assert len(await member.records.contributions()) == 1


async def test_a_text_that_ends_the_process_holds_up_no_other(tmp_path: Path) -> None:
    """It is tried alone, given up after some tries and left unchecked."""
    async with opened(tmp_path) as member:
        bob = member.others["bob"]
        contents = [bob.says(number) for number in range(5)]
        await member.hear(*contents, bob.says("deadly", text=DEADLY))
        async with member.running():
            await member.until_done()

            assert member.checking.standing().unchecked == 1
            assert TRIES <= member.model.embedded.count(DEADLY) <= TRIES + 1
            assert len(set(member.model.embedded)) == 6


async def test_each_circle_has_its_checker(tmp_path: Path) -> None:
    """A circle that is told of is checked until the checkers are left."""
    async with opened(tmp_path) as member:
        named = Named(member.records)
        await member.hear(forged(member.others["bob"], "a lie"))
        async with Checkers(member.shelf, member.model) as checkers:
            assert checkers.checks(named.id) == NOTHING
            checkers.opened(named)
            await member.until(lambda: checkers.checks(named.id).forged == 1)


@dataclass
class Named:
    """A circle, as checkers know it."""

    records: CircleRecords

    @property
    def id(self) -> CircleId:
        return self.records.circle
