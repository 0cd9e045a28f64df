"""What a link makes of silence, cuts and cancelled sends, whatever carries it."""

import asyncio
import time

import pytest

from tests.support.meeting import HIGHER, LOWER
from transport import liveness
from transport.chunked_link import ChunkedLink
from transport.chunks import MAX_MESSAGE_BYTES, Channel
from transport.link import LinkClosedError, LinkEnd


class Wire:
    """A carrier in memory: its messages reach the other end at once, unless cut."""

    def __init__(self) -> None:
        self.is_cut = False
        self.room = 1_000
        self.other: ChunkedLink | None = None
        self.is_closed = False
        self.sent: list[tuple[Channel, bytes]] = []

    def send(self, channel: Channel, message: bytes) -> None:
        self.sent.append((channel, message))
        self.room -= 1
        assert len(message) <= MAX_MESSAGE_BYTES
        if self.other is not None and not self.is_cut:
            asyncio.get_running_loop().call_soon(self.other.deliver, channel, message)

    def buffered(self, channel: Channel) -> int:
        return 0 if self.room > 0 else 10_000_000

    def abort(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def steady_ms() -> float:
    return time.monotonic() * 1000


def wired() -> tuple[tuple[ChunkedLink, Wire], tuple[ChunkedLink, Wire]]:
    """Return two links with a wire each, joined."""
    ours, theirs = Wire(), Wire()
    a = ChunkedLink(HIGHER.device, "webrtc", ours, steady_ms)
    b = ChunkedLink(LOWER.device, "webrtc", theirs, steady_ms)
    ours.other, theirs.other = b, a
    return (a, ours), (b, theirs)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let seconds pass like a fiftieth of them."""
    for name in ("IDLE_MS", "WAITING_MS", "DROP_MS"):
        monkeypatch.setattr(liveness, name, getattr(liveness, name) / 50)


@pytest.mark.usefixtures("quick")
async def test_heartbeats_keep_an_idle_link() -> None:
    """A link on which nothing is said stays up, and knows its round trip."""
    (a, wire), (b, _) = wired()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3 * liveness.DROP_MS / 1000):
            await a.receive()

    assert not a.is_suspect
    assert a.rtt_ms is not None
    assert len(wire.sent) < 20
    await a.aclose()
    await b.aclose()


@pytest.mark.usefixtures("quick")
async def test_silence_ends_a_link() -> None:
    """A peer that falls silent is suspected first, and dropped on both sides' own."""
    (a, wire), (b, back) = wired()
    wire.is_cut = back.is_cut = True
    suspected = False

    async with asyncio.timeout(10):
        while not wire.is_closed:
            suspected = suspected or a.is_suspect
            await asyncio.sleep(0)
        with pytest.raises(LinkClosedError) as caught:
            await a.receive()

    assert suspected
    assert caught.value.end is LinkEnd.SILENT
    await b.aclose()


async def test_a_cancelled_send_has_sent_nothing() -> None:
    """A frame cut in the middle is dropped at the other end; the next arrives."""
    (a, wire), (b, _) = wired()
    wire.room = 2
    sending = asyncio.create_task(a.send(bytes(9 * MAX_MESSAGE_BYTES), is_bulk=True))
    await asyncio.sleep(0)
    assert not sending.done()

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    wire.room = 100
    await a.send(b"next", is_bulk=True)

    assert await b.receive() == b"next"
    await a.aclose()
    await b.aclose()


async def test_those_who_wait_are_told_of_the_end() -> None:
    """Sender and receiver wake up when a link ends, and hear the first reason."""
    (a, wire), (b, _) = wired()
    wire.room = 0
    async with asyncio.timeout(10):
        sending = asyncio.create_task(a.send(b"x"))
        receiving = asyncio.create_task(a.receive())
        await asyncio.sleep(0)
        a.end(LinkEnd.LOST)
        a.end(LinkEnd.MISBEHAVED)

        for waiting in (sending, receiving):
            with pytest.raises(LinkClosedError) as caught:
                await waiting
            assert caught.value.end is LinkEnd.LOST
    assert wire.is_closed
    await b.aclose()
