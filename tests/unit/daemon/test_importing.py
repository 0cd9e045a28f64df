"""A file on its way in: in groups, with little waiting, and it always ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import pytest

from crdt.errors import DiskFullError, InvalidError, RefusedError
from crdt.replica import Replica
from daemon.importing import Taken, import_stream
from daemon.interchange.formats import FORMATS
from daemon.owner import Owner
from tests.support.replicas import START_MS, Device, scratch_folder

LINES: Final = 5_000
JSONL: Final = FORMATS["jsonl"]


def lines(number: int) -> bytes:
    """Return lines of nodes."""
    return b"".join(
        json.dumps({"key": f"n{place}", "label": "x"}).encode() + b"\n"
        for place in range(number)
    )


async def chunked(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield `content` in pieces."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


class Importer:
    """An owner, and what was reported of imports into it."""

    def __init__(self, owner: Owner, replica: Replica) -> None:
        self.owner = owner
        self.replica = replica
        self.taken: list[Taken] = []

    async def take_in(self, chunks: AsyncIterator[bytes]) -> None:
        """Import a stream of JSON lines."""
        await import_stream(self.owner, JSONL, chunks, lambda: START_MS, self._report)

    async def _report(self, taken: Taken) -> None:
        self.taken.append(taken)

    @property
    def applied(self) -> int:
        """How many items were reported as applied."""
        return sum(each.applied for each in self.taken)


@asynccontextmanager
async def importing(
    told: Callable[[int, int], None] = lambda first, size: None,
) -> AsyncIterator[Importer]:
    """Run an owner on a new replica."""
    with scratch_folder() as home, Device(home).running() as replica:
        owner = Owner(
            lambda: replica,
            lambda: START_MS,
            lambda: 0,
            lambda committed: told(committed.first_event, len(committed.events)),
        )
        async with owner:
            yield Importer(owner, replica)


async def test_what_is_reported_is_durable() -> None:
    """Each report comes after its group is there, and all of it is reported."""
    async with importing() as importer:
        await importer.take_in(chunked(lines(LINES)))

        assert importer.applied == importer.replica.totals.nodes == LINES
        assert len(importer.taken) > 1


async def test_commits_are_told_in_order_with_those_of_others() -> None:
    """While others write, watchers learn of all commits by dense numbers."""
    places: list[tuple[int, int]] = []
    async with importing(lambda first, size: places.append((first, size))) as importer:
        busy = asyncio.ensure_future(importer.take_in(chunked(lines(LINES))))
        for number in count():
            if busy.done():
                break
            pulse = json.dumps({"key": f"other{number}", "label": "x"}).encode()
            await importer.take_in(chunked(pulse))
        await busy
        await importer.owner.run(lambda _: None)

    following = 1
    for first, size in places:
        assert first == following
        following += size
    assert following > LINES


async def test_parts_that_fail_are_named() -> None:
    """What is refused is reported by its name, with its error; the rest is applied."""
    content = b'{"key":"a"}\n{"key":"b","label":""}\n{"from":"a","to":"c"}\n'
    async with importing() as importer:
        await importer.take_in(chunked(content))

    (taken,) = importer.taken
    assert taken.applied == 1
    assert [each.item for each in taken.refusals] == ["b", "edge from 'a' to 'c'"]
    assert all(isinstance(each.error, RefusedError) for each in taken.refusals)


@pytest.mark.parametrize("behind", [0, 100_000])
async def test_what_makes_no_sense_ends_the_import(behind: int) -> None:
    """Whole groups before the fault stand; whoever still sends is not kept waiting."""
    content = lines(LINES) + b"{\n" + b"x\n" * behind
    async with importing() as importer:
        with pytest.raises(InvalidError, match=f"line {LINES + 1}"):
            await importer.take_in(chunked(content, 100))

        assert importer.applied == importer.replica.totals.nodes


async def test_a_stream_that_breaks_off_raises_what_broke_it() -> None:
    """The sender's own failure comes out, and the reading thread has ended."""

    async def breaking() -> AsyncIterator[bytes]:
        yield lines(LINES)
        raise ConnectionResetError

    async with importing() as importer:
        with pytest.raises(ConnectionResetError):
            await importer.take_in(breaking())

        assert importer.applied == importer.replica.totals.nodes > 0


async def test_a_cancelled_import_ends() -> None:
    """Cancelling an import that waits for its sender ends both."""
    begun = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield lines(10)
        begun.set()
        await asyncio.Event().wait()

    async with importing() as importer:
        busy = asyncio.ensure_future(importer.take_in(silent()))
        await begun.wait()
        busy.cancel()
        with pytest.raises(asyncio.CancelledError):
            await busy


async def test_little_is_taken_before_it_is_needed() -> None:
    """While the owner is busy, no more than a few chunks are asked for."""
    asked = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal asked
        async for chunk in chunked(lines(20_000), 10_000):
            asked += 1
            yield chunk

    async with importing() as importer:
        importer_waits = asyncio.Event()

        async def report(taken: Taken) -> None:
            importer_waits.set()
            await asyncio.sleep(0)
            seen.append(asked)

        seen: list[int] = []
        await import_stream(importer.owner, JSONL, counted(), lambda: START_MS, report)

    # 2,000 lines make a group, of which a chunk holds about 350.
    assert importer_waits.is_set()
    assert seen[0] <= 16


async def test_a_full_disk_ends_the_import() -> None:
    """An error of the store comes out as it is; what was reported is there."""
    async with importing() as importer:
        writer = importer.replica._connection  # noqa: SLF001  # to bound its file
        writer.pragma("max_page_count", writer.pragma("page_count") + 150)
        with pytest.raises(DiskFullError):
            await importer.take_in(chunked(lines(20_000)))
        writer.pragma("max_page_count", 1 << 30)

        assert importer.applied == importer.replica.totals.nodes
