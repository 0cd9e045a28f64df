"""Consensus on demand: lazy, shared, cached, equal to the rule, let go when idle."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.contribution import Author, Contribution
from consensus.invitations import Invitation, InviteTree
from consensus.rc1 import consensus
from consensus.result import Result
from consensus.rule import Preset
from crdt.errors import DiskFullError, StoreError
from crdt.ids import CircleId
from daemon.circles import collective as module
from daemon.circles.collective import Collective, Sources
from daemon.circles.engine import Engine, StoppedError
from tests.support.contributions import (
    CIRCLE,
    MODELS,
    Crowd,
    author,
    everybody,
    random_records,
    say,
    unsay,
    vector,
)
from tests.support.slow_consensus import standing

PATIENCE: Final = 30.0


@dataclass
class Circle:
    """Records of a circle, and how often they were read and results noted."""

    records: list[Contribution] = field(default_factory=list)
    members: dict[Author, Invitation] = field(default_factory=dict)
    reads: int = 0
    noted: list[bytes] = field(default_factory=list)
    fault: StoreError | None = None
    gate: asyncio.Event | None = None
    """If there is one, whoever reads waits for it."""

    async def contributions(self) -> Sequence[Contribution]:
        self.reads += 1
        found = list(self.records)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return found

    def invitations(self) -> Mapping[Author, Invitation]:
        return self.members

    async def note(self, result: Result) -> None:
        if self.fault is not None:
            raise self.fault
        self.noted.append(result.hash)

    def expected(self) -> Result:
        """Return the consensus of the records, worked out at once."""
        tree = InviteTree(self.members)
        return consensus(CIRCLE, Preset.STRICT, tree, self.records)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Provide the one thread that works."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@asynccontextmanager
async def opened(
    circle: Circle, threads: ThreadPoolExecutor, idle_seconds: float = PATIENCE
) -> AsyncIterator[Collective]:
    """Open the collective of a circle."""
    collective = Collective(
        CircleId(CIRCLE),
        Preset.STRICT,
        Sources(circle.contributions, circle.invitations),
        threads,
        note=circle.note,
        idle_seconds=idle_seconds,
    )
    async with asyncio.timeout(PATIENCE), collective:
        yield collective


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not condition():  # noqa: ASYNC110  # threads and timers bring it about
        await asyncio.sleep(0)


async def test_nothing_is_read_until_somebody_looks(
    threads: ThreadPoolExecutor,
) -> None:
    """Contributions that come cost nothing; the first question reads, the next not."""
    circle = Circle(everybody(1, range(3)))
    async with opened(circle, threads) as collective:
        collective.put([say(9, 0, vector(0))])
        assert (circle.reads, collective.is_loaded, collective.known_hash()) == (
            0,
            False,
            None,
        )

        found = await collective.result()

        assert found == circle.expected()
        assert await collective.result() is found
        assert (circle.reads, circle.noted) == (1, [found.hash])
        assert collective.known_hash() == found.hash


async def test_a_change_is_followed_without_reading(
    threads: ThreadPoolExecutor,
) -> None:
    """What is told after the first look is in the next result; the hash is unknown."""
    circle = Circle(everybody(1, range(3)))
    async with opened(circle, threads) as collective:
        await collective.result()
        more = say(3, 0, vector(0, [50]))
        circle.records.append(more)
        collective.put([more])
        assert collective.known_hash() is None

        assert await collective.result() == circle.expected()

        circle.records = [each for each in circle.records if each.author != author(1)]
        collective.forget(author(1))
        assert await collective.result() == circle.expected()
        circle.records = [each for each in circle.records if each is not more]
        collective.read_anew()
        assert (await collective.result(), circle.reads) == (circle.expected(), 2)
        assert circle.noted[-1] == circle.expected().hash


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 40), data=st.data())
def test_it_is_always_the_rule_of_what_stands(
    seed: int, count: int, data: st.DataObject
) -> None:
    """Whatever is told, forgotten, read anew or let go in between: one result."""
    records = random_records(seed, count, Crowd())
    with ThreadPoolExecutor(1) as threads:
        asyncio.run(_live(records, data, threads))


async def _live(
    records: list[Contribution], data: st.DataObject, threads: ThreadPoolExecutor
) -> None:
    circle = Circle()
    async with opened(circle, threads) as collective:
        for record in records:
            circle.records = standing([*circle.records, record])
            collective.put([record])
            match data.draw(st.integers(0, 9)):
                case 0:
                    gone = record.author
                    circle.records = [
                        each for each in circle.records if each.author != gone
                    ]
                    collective.forget(gone)
                case 1 if circle.records:
                    circle.records = circle.records[1:]
                    collective.read_anew()
                case 2 | 3:
                    assert await collective.result() == circle.expected()
                case _:
                    pass
        assert await collective.result() == circle.expected()


async def test_many_who_ask_share_one_computation(threads: ThreadPoolExecutor) -> None:
    """All get the very same result, read once; one who gives up stops nobody."""
    circle = Circle(everybody(2, range(4)), gate=asyncio.Event())
    async with opened(circle, threads) as collective:
        asked = [asyncio.create_task(collective.result()) for _ in range(20)]
        near = asyncio.create_task(collective.nearest(vector(0), MODELS[0], 1))
        await until(lambda: circle.reads > 0)
        for each in asked[:3]:
            each.cancel()
        assert circle.gate is not None
        circle.gate.set()

        found = await asyncio.gather(*asked, return_exceptions=True)

        assert all(isinstance(each, asyncio.CancelledError) for each in found[:3])
        assert {id(each) for each in found[3:]} == {id(await collective.result())}
        assert [bp for _, bp in await near] == [10_000]
        assert (circle.reads, len(circle.noted)) == (1, 1)


async def test_what_comes_while_it_is_read_is_not_lost(
    threads: ThreadPoolExecutor,
) -> None:
    """Told between reading and working out, it is in the result of who asks then."""
    circle = Circle(everybody(1, range(3)), gate=asyncio.Event())
    async with opened(circle, threads) as collective:
        first = asyncio.create_task(collective.result())
        await until(lambda: circle.reads > 0)
        more = [say(3, 0, vector(0)), unsay(0, 0)]
        circle.records += more
        collective.put(more)
        second = asyncio.create_task(collective.result())
        assert circle.gate is not None
        circle.gate.set()

        await first

        assert await second == circle.expected()


async def test_other_members_are_another_result(threads: ThreadPoolExecutor) -> None:
    """Who invited whom is part of it; the same members again change nothing."""
    circle = Circle(everybody(1, range(1, 4)))
    async with opened(circle, threads) as collective:
        before = await collective.result()
        collective.members_changed()
        assert (collective.known_hash(), len(before.nodes)) == (before.hash, 1)

        circle.members = {
            author(who): Invitation(author(who - 1)) for who in range(1, 4)
        }
        collective.members_changed()

        assert collective.known_hash() is None
        assert await collective.result() == circle.expected()
        assert ((await collective.result()).nodes, circle.reads) == ((), 1)


async def test_an_engine_at_rest_is_let_go(threads: ThreadPoolExecutor) -> None:
    """After a while only the result is left; the next change reads all again."""
    circle = Circle(everybody(1, range(4)))
    async with opened(circle, threads, idle_seconds=0.01) as collective:
        found = await collective.result()
        await until(lambda: not collective.is_loaded)

        assert await collective.result() is found
        assert collective.known_hash() == found.hash
        near = await collective.nodes_near(vector(0), MODELS[0], 5)
        assert [node for node, _ in near] == list(found.nodes)
        assert circle.reads == 1

        circle.records.append(say(7, 0, vector(0)))
        collective.put(circle.records[-1:])
        assert await collective.result() == circle.expected()
        assert circle.reads == 2


async def test_many_changes_are_read_instead(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody looks, changes take bounded memory."""
    monkeypatch.setattr(module, "MOST_STEPS", 5)
    circle = Circle(everybody(1, range(3)))
    async with opened(circle, threads) as collective:
        await collective.result()
        for number in range(10, 30):
            circle.records.append(say(number, 0, vector(0, [number])))
            collective.put(circle.records[-1:])

        assert await collective.result() == circle.expected()
        assert circle.reads == 2


async def test_a_store_that_fails_is_asked_again(threads: ThreadPoolExecutor) -> None:
    """Who asks is told; the next question starts anew, and what was not noted is."""
    circle = Circle(everybody(1, range(3)), fault=DiskFullError())
    async with opened(circle, threads) as collective:
        with pytest.raises(DiskFullError):
            await collective.result()
        assert not collective.is_loaded

        circle.fault = None
        assert await collective.result() == circle.expected()

        circle.fault = DiskFullError()
        collective.put([say(3, 0, vector(0))])
        again = await collective.result()
        circle.fault = None
        assert circle.noted.count(again.hash) == 0
        collective.read_anew()
        circle.records.append(say(3, 0, vector(0)))
        assert (await collective.result()).hash == again.hash
        assert circle.noted[-1] == again.hash


async def test_closing_stops_what_is_worked_out(threads: ThreadPoolExecutor) -> None:
    """Who waits is let go at once, and the thread is free soon after."""
    circle = Circle(random_records(1, 3_000, Crowd(authors=900, references=50)))
    entered = threading.Event()
    async with opened(circle, threads) as collective:
        waiting = asyncio.create_task(collective.result())
        await until(lambda: circle.reads > 0)
        threads.submit(entered.set)

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.to_thread(entered.wait, PATIENCE)
    assert entered.is_set()
    assert not collective.is_loaded
    assert circle.noted == []


def test_a_stopped_engine_ends_what_it_is_at() -> None:
    """Whatever it is asked, many records or few, it goes no further."""
    engine = Engine(CIRCLE, Preset.STRICT)
    engine.hold(everybody(2, range(4)))
    engine.stop()

    with pytest.raises(StoppedError):
        engine.follow([lambda resonance: None])
    with pytest.raises(StoppedError):
        engine.hold(everybody(3, range(90)))
    with pytest.raises(StoppedError):
        engine.result({})
    engine.let_go()
    assert engine.result({}).nodes == ()
