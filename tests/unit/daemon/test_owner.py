"""The owner's thread: durable before answered, in order, and never in the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from crdt.commands import AnyCommand, PutEdge, PutNode
from crdt.committed import Committed
from crdt.errors import DiskFullError, NotFoundError, RefusedError, StoreError
from crdt.execution import Outcome
from crdt.replica import Replica
from daemon.owner import MAX_WAITING, Owner
from tests.support.replicas import START_MS, Device, scratch_folder

MANY: Final = 200


def node(name: str) -> PutNode:
    """Return the command that makes a node."""
    return PutNode(key=name, label=name)


@asynccontextmanager
async def owning(home: Path) -> AsyncIterator[tuple[Owner, list[Committed], Device]]:
    """Run an owner; yield it, what it told, and its device."""
    told: list[Committed] = []
    device = Device(home)
    with device.running(clean=False) as replica:
        owner = Owner(lambda: replica, lambda: START_MS, lambda: 0, told.append)
        async with owner:
            yield owner, told, device


@asynccontextmanager
async def held(owner: Owner) -> AsyncIterator[None]:
    """Keep the thread busy until the block ends."""
    begun, free = threading.Event(), threading.Event()

    def wait(replica: Replica) -> None:
        begun.set()
        free.wait()

    busy = asyncio.ensure_future(owner.run(wait))
    await asyncio.to_thread(begun.wait)
    try:
        yield
    finally:
        free.set()
        await busy


async def all_told(owner: Owner) -> None:
    """Return when all that was done until now has been told."""
    await owner.run(lambda _: None)


async def test_what_is_answered_is_there() -> None:
    """After an awaited write the replica shows it, and watchers were told."""
    with scratch_folder() as home:
        async with owning(home) as (owner, told, _):
            outcome = await owner.write(node("a"))
            await all_told(owner)

            assert (outcome.key, outcome.is_created) == ("a", True)
            assert owner.replica.totals.nodes == 1
            assert [event.key for each in told for event in each.events] == ["a"]


async def test_a_refusal_is_raised_and_leaves_the_others() -> None:
    """One command's refusal is its own: what waited with it is carried out."""
    with scratch_folder() as home:
        async with owning(home) as (owner, _, _):
            async with held(owner):
                good = asyncio.ensure_future(owner.write(node("a")))
                bad = asyncio.ensure_future(owner.write(PutEdge("a", "nowhere")))
                all_of = asyncio.ensure_future(
                    owner.write_all([node("b"), PutEdge("b", "x"), node("c")])
                )
                await asyncio.sleep(0)

            assert (await good).is_created
            with pytest.raises(NotFoundError):
                await bad
            kinds = [type(outcome) for outcome in await all_of]
            assert kinds == [Outcome, NotFoundError, Outcome]


async def test_writes_that_wait_share_one_commit() -> None:
    """Under load many writes are made durable together."""
    with scratch_folder() as home:
        async with owning(home) as (owner, told, _):
            async with held(owner):
                writes = [
                    asyncio.ensure_future(owner.write(node(f"n{number}")))
                    for number in range(MANY)
                ]
                await asyncio.sleep(0)
            await asyncio.gather(*writes)
            await all_told(owner)

            assert len(told) == 1
            assert len(told[0].events) == MANY


async def test_commits_are_told_in_order() -> None:
    """The numbers of the events are dense, whoever wrote, by write or by task."""
    with scratch_folder() as home:
        async with owning(home) as (owner, told, _):

            def task(name: str) -> Callable[[Replica], None]:
                def apply(replica: Replica) -> None:
                    owner.tell(replica.apply([node(name)], START_MS))

                return apply

            await asyncio.gather(
                *(owner.write(node(f"w{number}")) for number in range(MANY)),
                *(owner.run(task(f"t{number}")) for number in range(MANY)),
            )
            await all_told(owner)

        numbers = [
            each.first_event + place
            for each in told
            for place, _ in enumerate(each.events)
        ]
        assert numbers == list(range(1, 2 * MANY + 1))


async def test_a_task_answers_or_raises() -> None:
    """What a task returns or raises reaches whoever asked, and the thread goes on."""
    with scratch_folder() as home:
        async with owning(home) as (owner, _, _):

            def fail(replica: Replica) -> None:
                raise StoreError("no")

            assert await owner.run(lambda replica: replica.totals.nodes) == 0
            with pytest.raises(StoreError, match="no"):
                await owner.run(fail)
            assert (await owner.write(node("a"))).is_created


async def test_who_goes_away_does_not_take_the_write_along() -> None:
    """A write whose asker was cancelled is carried out all the same."""
    with scratch_folder() as home:
        async with owning(home) as (owner, _, _):
            async with held(owner):
                write = asyncio.ensure_future(owner.write(node("a")))
                await asyncio.sleep(0)
                write.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await write

            assert await owner.run(lambda replica: replica.totals.nodes) == 1


async def test_a_full_queue_makes_others_wait() -> None:
    """No more than a bounded number of writes wait in the queue at once."""
    with scratch_folder() as home:
        async with owning(home) as (owner, told, _):
            count = MAX_WAITING + MANY
            async with held(owner):
                writes = [
                    asyncio.ensure_future(owner.write(node(f"n{number}")))
                    for number in range(count)
                ]
                await asyncio.sleep(0)
            await asyncio.gather(*writes)
            await all_told(owner)

            assert sum(len(each.events) for each in told) == count
            assert len(told[0].events) <= MAX_WAITING


async def test_a_full_disk_refuses_until_there_is_room() -> None:
    """A write that finds no room raises and leaves nothing; later ones work."""
    with scratch_folder() as home:
        async with owning(home) as (owner, _, device):
            await owner.write(node("before"))
            pages = device.database.writer.pragma("page_count")
            device.database.writer.pragma("max_page_count", pages)
            large = [PutNode(key=f"n{n}", label="x" * 4000) for n in range(500)]
            with pytest.raises(DiskFullError):
                await owner.write_all(large)
            assert owner.replica.totals.nodes == 1

            device.database.writer.pragma("max_page_count", 1 << 30)
            outcomes = await owner.write_all(large)

            assert refusals(outcomes) == []
            assert owner.replica.totals.nodes == 501


async def test_a_replica_that_does_not_open_is_told() -> None:
    """What keeps the replica from opening is raised to whoever enters."""

    def fail() -> Replica:
        raise StoreError("cannot open")

    with pytest.raises(StoreError, match="cannot open"):
        async with Owner(fail, lambda: 0, lambda: 0, lambda _: None):
            pass


async def test_leaving_finishes_what_was_given() -> None:
    """Writes that wait when the owner is left are carried out before it ends."""
    with scratch_folder() as home:
        commands: Sequence[AnyCommand] = [node(f"n{number}") for number in range(MANY)]
        device = Device(home)
        with device.running(clean=False) as replica:
            owner = Owner(lambda: replica, lambda: START_MS, lambda: 0, lambda _: None)
            async with owner:
                writes = [asyncio.ensure_future(owner.write(c)) for c in commands]
                await asyncio.sleep(0)
            outcomes = await asyncio.gather(*writes)
            assert refusals(outcomes) == []
            with pytest.raises(StoreError, match="stopping"):
                await owner.write(node("too late"))
        with device.running() as replica:
            assert replica.totals.nodes == MANY


async def test_a_bug_in_a_task_is_its_own() -> None:
    """A fault that is no error of ours is raised to its asker; others are served."""
    with scratch_folder() as home:
        async with owning(home) as (owner, _, _):

            def fail(replica: Replica) -> None:
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await owner.run(fail)
            assert (await owner.write(node("a"))).is_created


def refusals(outcomes: Sequence[Outcome | RefusedError]) -> list[RefusedError]:
    """Return what was refused."""
    return [outcome for outcome in outcomes if isinstance(outcome, RefusedError)]
