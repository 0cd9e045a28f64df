"""What every kind of link does."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest

from tests.support.links import memory_pair
from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport.link import MAX_FRAME_BYTES, Link, LinkClosedError, LinkEnd
from transport.switchboard import Switchboard

Pair: TypeAlias = tuple[Link, Link]


@pytest.fixture(params=["memory", "webrtc"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """Two ends of one link: what the first holds leads to the second's device."""
    if request.param == "memory":
        yield memory_pair(LOWER.device, HIGHER.device)
        return
    async with (
        Switchboard(LOWER, ROSTER.get) as here,
        Switchboard(HIGHER, ROSTER.get) as there,
    ):
        yield await here.dial(HIGHER.device, there.answer), await there.accept()


async def sent_until_full(link: Link, frame: bytes, *, is_bulk: bool) -> int:
    """Return how many frames a link takes whose other end reads nothing."""
    count = 0
    while True:
        try:
            async with asyncio.timeout(0.5):
                await link.send(frame, is_bulk=is_bulk)
        except TimeoutError:
            return count
        count += 1


async def test_both_ends_know_who_is_there(pair: Pair) -> None:
    """Each end names the device at the other."""
    a, b = pair

    assert (a.peer, b.peer) == (HIGHER.device, LOWER.device)


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_frames_arrive_whole_and_in_order(pair: Pair, *, is_bulk: bool) -> None:
    """Frames of one kind arrive as they were sent, both ways at once."""
    a, b = pair
    frames = [bytes([number]) * (number * 997 + 1) for number in range(60)]

    async def send(link: Link) -> None:
        for frame in frames:
            await link.send(frame, is_bulk=is_bulk)

    async def receive(link: Link) -> list[bytes]:
        return [await link.receive() for _ in frames]

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(send(a))
        tasks.create_task(send(b))
        at_a, at_b = tasks.create_task(receive(a)), tasks.create_task(receive(b))

    assert at_a.result() == at_b.result() == frames
    assert a.bytes_out == b.bytes_in == sum(map(len, frames))


async def test_the_largest_frame_arrives(pair: Pair) -> None:
    """A frame of the largest size arrives whole; larger or empty ones are refused."""
    a, b = pair
    frame = bytes(range(256)) * (MAX_FRAME_BYTES // 256)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.send(frame, is_bulk=True))
        received = tasks.create_task(b.receive())

    assert received.result() == frame
    for wrong in (b"", frame + b"!"):
        with pytest.raises(ValueError, match="a frame has"):
            await a.send(wrong)


async def test_control_frames_do_not_wait_for_bulk(pair: Pair) -> None:
    """When no room is left for bulk frames, a control frame still arrives."""
    a, b = pair
    assert await sent_until_full(a, bytes(64 * 1024), is_bulk=True)

    async with asyncio.timeout(20):
        await a.send(b"control")
        while await b.receive() != b"control":
            pass


@pytest.mark.parametrize("is_bulk", [False, True])
async def test_a_sender_waits_for_a_slow_reader(pair: Pair, *, is_bulk: bool) -> None:
    """Where nobody reads, sending waits, nothing is lost, and it goes on later."""
    a, b = pair
    frame = bytes(64 * 1024)

    whole = await sent_until_full(a, frame, is_bulk=is_bulk)

    assert 0 < whole * len(frame) <= 2 * MAX_FRAME_BYTES
    async with asyncio.timeout(20):
        for _ in range(whole):
            assert await b.receive() == frame
        await a.send(b"later", is_bulk=is_bulk)
        while (received := await b.receive()) != b"later":
            assert received == frame  # that which the last attempt may have sent


async def test_an_end_that_closes_ends_both(pair: Pair) -> None:
    """After a close both ends refuse to send and receive, and say who closed."""
    a, b = pair
    async with asyncio.timeout(20):
        await a.send(b"last words")
        assert await b.receive() == b"last words"
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ended(b))
            await asyncio.sleep(0)
            await a.aclose()
        await a.aclose()

        assert waiting.result() is LinkEnd.CLOSED_BY_PEER
        assert await ended(a) is LinkEnd.CLOSED_HERE
        for link in pair:
            with pytest.raises(LinkClosedError):
                await link.send(b"more")


async def ended(link: Link) -> LinkEnd:
    """Wait for the end of a link; return why it is over."""
    try:
        while True:
            await link.receive()
    except LinkClosedError as error:
        return error.end


async def test_who_waits_for_room_hears_of_the_end(pair: Pair) -> None:
    """A sender that waits for room is told that the link is over."""
    a, b = pair
    await sent_until_full(a, bytes(64 * 1024), is_bulk=True)

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(refused(a))
        await b.aclose()

    assert waiting.result()


async def refused(link: Link) -> bool:
    """Send until the link is over."""
    try:
        while True:
            await link.send(bytes(64 * 1024), is_bulk=True)
    except LinkClosedError:
        return True
